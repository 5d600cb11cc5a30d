"""Who said each word of the synthetic corpora: ways to align, side by side, after real recognition.

Session 5 of the demo corpus, and all of the conversations, go through the demo profile's recogniser
and diarizer; the words' true speakers and times are known.
"""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from components.config import Settings, load_profile
from components.conversation import (
    AsrSegment,
    Recording,
    SpeakerSegment,
    Turn,
    read_audio,
    read_words,
)
from components.corpus import read_corpus
from components.diarize import Diarizer
from components.scoring import WordSpeakers, word_speakers
from components.transcribe import Transcriber
from tests.word_systems import SYSTEMS, table

Heard = dict[str, tuple[list[AsrSegment], list[SpeakerSegment]]]

CORPORA = {"demo": "demo corpus, session 5", "talks": "conversations, all sessions"}


def hear(recordings: list[Recording]) -> Heard:
    """The recognised words of recordings, and who speaks when."""
    profile, settings = load_profile("demo"), Settings()
    transcriber = Transcriber(profile.transcribe, settings)
    diarizer = Diarizer(profile.diarize, settings)
    heard = {}
    for recording in recordings:
        sound = read_audio(recording.audio)
        speakers = diarizer.diarize(sound, len(recording.speakers)).exclusive
        heard[recording.name] = (transcriber.transcribe(sound), list(speakers))
    return heard


@pytest.mark.parametrize("corpus", CORPORA)
def test_words_to_speakers(
    benchmark: BenchmarkFixture, demo_corpus: Path, talks_corpus: Path, corpus: str
) -> None:
    folder = {"demo": demo_corpus, "talks": talks_corpus}[corpus]
    heard = hear([r for r in read_corpus(folder) if corpus == "talks" or r.fold == "Session5"])
    rows = {name: WordSpeakers.zero() for name in SYSTEMS}
    for name, (segments, speakers) in heard.items():
        spoken = [
            (number, word)
            for number, segment in enumerate(read_words(folder / "truth" / f"{name}.json"))
            for word in segment.words
        ]
        reference = [Turn(name, w.start, w.end, str(w.speaker), w.text) for _, w in spoken]
        utterances = [number for number, _ in spoken]
        for system, turns_of in SYSTEMS.items():
            turns = turns_of(segments, speakers, name)
            rows[system] += word_speakers(reference, turns, utterances)

    def everything() -> None:
        for name, (segments, speakers) in heard.items():
            SYSTEMS["overlap"](segments, speakers, name)

    benchmark.pedantic(everything, rounds=3)
    print(f"\nwords to speakers, {CORPORA[corpus]}, per cent", *table(rows), sep="\n")
    for scores in rows.values():
        assert scores.errors.length > 400
        assert scores.errors.rate < 0.25
