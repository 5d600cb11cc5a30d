"""One numbering of speakers, stretch by stretch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.config import Settings, load_profile
from components.conversation import SAMPLE_RATE, AsrSegment, SpeakerSegment, Word, read_audio
from components.diarize import Diarization, Diarizer, RunningSpeakers

pytestmark = pytest.mark.models

VOICES = {"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.0, 0.0, 1.0], "ab": [0.8, 0.6, 0.0]}


class Voices:
    """A diarizer whose recordings say who speaks: each sample is a voice's number."""

    def voice(self, audio: np.ndarray, start: float, end: float) -> np.ndarray | None:
        part = audio[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        name = list(VOICES)[int(np.median(part))]
        return np.array(VOICES[name])


def stretch(*said: tuple[str, float], local: str = "") -> tuple[Any, ...]:
    """A stretch in which voices say a sentence each, of so many seconds; the diarizer's speakers
    are one letter each, by default one for each voice."""
    words, segments, sound, now = [], [], [], 0.0
    for number, (voice, seconds) in enumerate(said):
        words.append(Word("Yes.", now, now + seconds))
        speaker = local[number] if local else f"x{voice}"
        segments.append(SpeakerSegment(now, now + seconds, speaker))
        sound += [list(VOICES).index(voice)] * round(seconds * SAMPLE_RATE)
        now += seconds
    spoken = [AsrSegment(0.0, now, "Yes. " * len(words), tuple(words))]
    exclusive = tuple(segments)
    return Voices(), np.array(sound, np.float32), Diarization(exclusive, exclusive), spoken


def names(diarization: Diarization) -> list[str]:
    return [segment.speaker[-1] for segment in diarization.exclusive]


def test_a_number_stays() -> None:
    running = RunningSpeakers()
    assert names(running.hear(*stretch(("a", 2.0), ("b", 3.0)))) == ["1", "0"]
    assert names(running.hear(*stretch(("c", 2.0), ("a", 1.5), ("b", 1.5)))) == ["2", "1", "0"]
    assert len(running) == 3


def test_sentences_that_the_diarizer_took_for_one_persons() -> None:
    running = RunningSpeakers()
    assert names(running.hear(*stretch(("a", 2.0), ("b", 1.9), local="xx"))) == ["0", "1"]


def test_one_whom_the_diarizer_took_for_two() -> None:
    running = RunningSpeakers()
    found = running.hear(*stretch(("a", 2.0), ("ab", 1.9), local="xy"))
    assert set(names(found)) == {"0"}


def test_little_speech_is_no_new_speakers() -> None:
    running = RunningSpeakers()
    running.hear(*stretch(("a", 2.0)))
    for _ in range(5):
        assert names(running.hear(*stretch(("b", 0.8)))) == ["0"]
    assert names(running.hear(*stretch(("b", 1.1)))) == ["1"], "nor do they change a voice"


def test_no_more_speakers_than_there_are() -> None:
    running = RunningSpeakers(most=2)
    running.hear(*stretch(("a", 2.0), ("b", 1.9)))
    running.hear(*stretch(("c", 2.0)))
    assert len(running) == 2


def test_two_people(sample_dir: Path) -> None:
    """Real voices, a real pipeline: one asks, the other answers, and asks again."""
    diarizer = Diarizer(load_profile("demo").diarize, Settings())
    audio, running = read_audio(sample_dir / "sample.wav"), RunningSpeakers()
    # By the boundaries that pyannote.audio's authors give with the recording.
    speakers = []
    for start, end in ((14.7, 17.9), (18.6, 21.5), (21.8, 27.8), (28.5, 30.0)):
        sound = audio[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        length = len(sound) / SAMPLE_RATE
        said = [AsrSegment(0.0, length, "Yes.", (Word("Yes.", 0.0, length),))]
        found = running.hear(diarizer, sound, diarizer.diarize(sound), said)
        speakers.append({segment.speaker for segment in found.exclusive})
    assert speakers == [{"SPEAKER_00"}, {"SPEAKER_01"}, {"SPEAKER_00"}, {"SPEAKER_01"}]
