"""Who said each word of the demo corpus: ways to align, side by side, after real recognition.

Session 5 goes through the demo profile's recogniser and diarizer; the words' true speakers and
times are known.
"""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from components.config import Settings, load_profile
from components.conversation import (
    AsrSegment,
    SpeakerSegment,
    Turn,
    read_audio,
    read_words,
)
from components.diarize import Diarizer
from components.scoring import WordSpeakers, word_speakers
from components.transcribe import Transcriber
from tests.word_systems import SYSTEMS, table

Heard = dict[str, tuple[list[AsrSegment], list[SpeakerSegment]]]


@pytest.fixture(scope="module")
def heard(demo_corpus: Path) -> Heard:
    """Session 5's four dialogues: their recognised words, and who speaks when."""
    profile, settings = load_profile("demo"), Settings()
    transcriber = Transcriber(profile.transcribe, settings)
    diarizer = Diarizer(profile.diarize, settings)
    files = sorted((demo_corpus / "Session5" / "dialog" / "wav").glob("*.ogg"))
    audio = {path.stem: read_audio(path) for path in files}
    return {
        name: (transcriber.transcribe(sound), diarizer.diarize(sound, 2).exclusive)
        for name, sound in audio.items()
    }


def test_words_to_speakers(benchmark: BenchmarkFixture, demo_corpus: Path, heard: Heard) -> None:
    rows = {name: WordSpeakers.zero() for name in SYSTEMS}
    for name, (segments, speakers) in heard.items():
        spoken = [
            (number, word)
            for number, segment in enumerate(read_words(demo_corpus / "truth" / f"{name}.json"))
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
    print("\nwords to speakers, demo corpus, session 5, per cent", *table(rows), sep="\n")
    for scores in rows.values():
        assert scores.errors.length > 400
        assert scores.errors.rate < 0.25
