"""Who said each word of the synthetic corpora: ways to align, side by side, after real recognition.

Session 5 of the demo corpus, and all of the conversations, go through the demo profile's recogniser
and diarizer; the words' true speakers and times are known.
"""

from pathlib import Path
from typing import NamedTuple

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from components.config import Settings, load_profile
from components.conversation import (
    AsrSegment,
    Recording,
    Turn,
    read_audio,
    read_words,
)
from components.corpus import read_corpus
from components.diarize import Diarization, Diarizer, hear_words_again
from components.scoring import WordSpeakers, word_speakers
from components.transcribe import Transcriber
from tests.word_systems import SYSTEMS, by_alignment, table

AGAIN = "heard again"
"""By evidence, with frame scores and a second hearing: what the demo profile does."""


class Heard(NamedTuple):
    """A recording's recognised words, and who speaks when: at first, and after a second hearing."""

    segments: list[AsrSegment]
    first: Diarization
    again: Diarization


CORPORA = {"demo": "demo corpus, session 5", "talks": "conversations, all sessions"}


def hear(recordings: list[Recording]) -> dict[str, Heard]:
    """What the demo profile hears in recordings whose number of speakers is known."""
    profile, settings = load_profile("demo"), Settings()
    transcriber = Transcriber(profile.transcribe, settings)
    diarizer = Diarizer(profile.diarize, settings)
    heard = {}
    for recording in recordings:
        sound = read_audio(recording.audio)
        count = len(recording.speakers)
        segments, first = transcriber.transcribe(sound), diarizer.diarize(sound, count)
        again = hear_words_again(diarizer, sound, first, segments, most=count)
        heard[recording.name] = Heard(segments, first, again)
    return heard


@pytest.mark.parametrize("corpus", CORPORA)
def test_words_to_speakers(
    benchmark: BenchmarkFixture, demo_corpus: Path, talks_corpus: Path, corpus: str
) -> None:
    folder = {"demo": demo_corpus, "talks": talks_corpus}[corpus]
    heard = hear([r for r in read_corpus(folder) if corpus == "talks" or r.fold == "Session5"])
    rows = {name: WordSpeakers.zero() for name in (*SYSTEMS, AGAIN)}
    for name, (segments, first, again) in heard.items():
        spoken = [
            (number, word)
            for number, segment in enumerate(read_words(folder / "truth" / f"{name}.json"))
            for word in segment.words
        ]
        reference = [Turn(name, w.start, w.end, str(w.speaker), w.text) for _, w in spoken]
        utterances = [number for number, _ in spoken]
        for system, turns_of in SYSTEMS.items():
            turns = turns_of(segments, first.exclusive, name)
            rows[system] += word_speakers(reference, turns, utterances)
        how = {"method": "evidence", "scores": again.scores}
        turns = by_alignment(segments, again.exclusive, name, **how)
        rows[AGAIN] += word_speakers(reference, turns, utterances)

    def everything() -> None:
        for name, (segments, first, _) in heard.items():
            SYSTEMS["overlap"](segments, first.exclusive, name)

    benchmark.pedantic(everything, rounds=3)
    print(f"\nwords to speakers, {CORPORA[corpus]}, per cent", *table(rows), sep="\n")
    for scores in rows.values():
        assert scores.errors.length > 400
        assert scores.errors.rate < 0.25
