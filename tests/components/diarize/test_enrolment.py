"""Speakers by name, from a sample of each voice."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError
from components.config import load_profile
from components.conversation import SAMPLE_RATE, SpeakerSegment, read_audio, read_rttm
from components.diarize import Diarization, Diarizer, check_name, named, voice_print

SAME = load_profile("demo").diarize.likeness
Talk = tuple[np.ndarray, list[SpeakerSegment]]


@pytest.fixture(scope="module")
def sample(demo_corpus: Path) -> Callable[..., np.ndarray]:
    """Some seconds of speakers, from another dialogue than the one they are to be known in."""

    def cut(*speakers: str, seconds: float = 6.0) -> np.ndarray:
        parts = []
        for speaker in speakers:
            name = f"{speaker[:5]}F_script01_1"
            (audio,) = demo_corpus.rglob(f"{name}.ogg")
            (spoken,) = read_rttm(demo_corpus / "truth" / f"{name}.rttm").values()
            own = [s for s in spoken if s.speaker == speaker]
            sound = np.concatenate([read_audio(audio, s.start, s.end) for s in own])
            parts.append(sound[: round(seconds * SAMPLE_RATE)])
        return np.concatenate(parts)

    return cut


@pytest.mark.models
def test_a_voice_is_known_in_another_dialogue_and_a_stranger_s_is_nobody_s(
    diarizer: Diarizer, dialogue: Talk, sample: Callable[..., np.ndarray]
) -> None:
    audio, truth = dialogue[0][: 20 * SAMPLE_RATE], dialogue[1]
    who = {"Ann": "Ses03_F", "Bob": "Ses03_M", "Eve": "Ses05_F"}
    prints = {name: voice_print(diarizer, sample(voice), name, SAME) for name, voice in who.items()}
    found, nobodys = named(diarizer.diarize(audio, 2), prints, SAME)
    assert nobodys == ["Eve"]
    assert {s.speaker for s in found.segments} == {"Ann", "Bob"}
    for name in ("Ann", "Bob"):
        right = sum(
            max(0.0, min(s.end, t.end) - max(s.start, t.start))
            for s in found.segments
            if s.speaker == name
            for t in truth
            if t.speaker == who[name]
        )
        assert right > 0.8 * sum(s.end - s.start for s in found.segments if s.speaker == name)


@pytest.mark.models
def test_a_sample_that_is_no_voice_s_or_of_two_is_refused(
    diarizer: Diarizer, sample: Callable[..., np.ndarray]
) -> None:
    time = np.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * f * time) for f in (220.0, 277.2, 329.6, 440.0))
    music = (0.1 * chord * (1 - 0.9 * (time % 0.5) / 0.5)).astype(np.float32)
    for wrong in (np.zeros(6 * SAMPLE_RATE, np.float32), music, np.zeros(10, np.float32)):
        with pytest.raises(InputError, match=r"speaker Ann: the sample has 0\.. s of speech"):
            voice_print(diarizer, wrong, "Ann", SAME)
    with pytest.raises(InputError, match="speaker Ann: the sample has two voices"):
        voice_print(diarizer, sample("Ses03_F", "Ses03_M"), "Ann", SAME)


def found(**voices: tuple[float, float]) -> Diarization:
    """Who has which voice."""
    spoken = tuple(SpeakerSegment(n, n + 1, name) for n, name in enumerate(voices))
    return Diarization(spoken, spoken, {name: np.array(voice) for name, voice in voices.items()})


def test_names_go_to_one_speaker_each() -> None:
    prints = {"Ann": np.array([1.0, 0.0]), "Bob": np.array([0.8, 0.6])}
    # Both sound most like the first; together the likeness is largest so.
    both, nobodys = named(found(a=(1.0, 0.0), b=(0.6, 0.8)), prints, 0.5)
    assert [s.speaker for s in both.segments] == ["Ann", "Bob"]
    assert both.exclusive == both.segments and set(both.voices) == {"Ann", "Bob"}
    assert nobodys == []


def test_more_names_than_voices_and_more_voices_than_names() -> None:
    prints = {"Ann": np.array([1.0, 0.0]), "Bob": np.array([0.9, 0.436])}
    one, nobodys = named(found(a=(1.0, 0.0)), prints, 0.5)
    assert ([s.speaker for s in one.segments], nobodys) == (["Ann"], ["Bob"])
    two, nobodys = named(found(a=(0.0, 1.0), b=(1.0, 0.0)), {"Ann": prints["Ann"]}, 0.5)
    assert ([s.speaker for s in two.segments], nobodys) == (["a", "Ann"], [])
    # A pair below the threshold is no reason to take a name from who has it.
    far, nobodys = named(found(a=(1.0, 0.0), b=(0.0, 1.0)), prints, 0.95)
    assert ([s.speaker for s in far.segments], nobodys) == (["Ann", "b"], ["Bob"])
    assert named(Diarization((), ()), prints, 0.5) == (Diarization((), ()), ["Ann", "Bob"])


@pytest.mark.parametrize("name", ["", "SPEAKER_00", "CHANNEL_1", "unknown", "Ann Lee", "-a", "a\n"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InputError, match="take letters"):
        check_name(name)
    check_name("Zoë_Ng-2.a")
