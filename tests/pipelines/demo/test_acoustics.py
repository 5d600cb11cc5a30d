"""What a telephone line, noise and other voices do to sound, and what they leave as it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.conversation import SAMPLE_RATE, Recording, Utterance, audio_duration, read_audio
from pipelines.demo.acoustics import (
    at_speed,
    in_noise,
    over_telephone,
    record_elsewhere,
)

SECONDS = 2


def tone(hertz: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE)


def power_db(sound: np.ndarray) -> float:
    return 10 * float(np.log10(np.square(sound).mean() + 1e-12))


@pytest.mark.parametrize("hertz", [500, 1000, 2500])
def test_a_telephone_carries_speech(hertz: float) -> None:
    assert power_db(over_telephone(tone(hertz))) == pytest.approx(power_db(tone(hertz)), abs=1)


@pytest.mark.parametrize("hertz", [60, 5000, 7000])
def test_and_nothing_below_or_above(hertz: float) -> None:
    assert power_db(over_telephone(tone(hertz))) < power_db(tone(hertz)) - 25


def test_noise_is_as_loud_as_asked_where_there_are_pauses_too() -> None:
    sound = np.concatenate([tone(440), np.zeros(3 * SAMPLE_RATE)])
    for snr in (0.0, 10.0, 20.0):
        noise = in_noise(sound, snr, np.random.default_rng(0)) - sound
        assert power_db(tone(440)) - power_db(noise) == pytest.approx(snr, abs=0.1)


def test_a_faster_voice_is_a_higher_voice() -> None:
    fast = at_speed(tone(400), 1.25)
    assert len(fast) == pytest.approx(SECONDS * SAMPLE_RATE / 1.25, abs=2)
    loudest = np.abs(np.fft.rfft(fast)).argmax() * SAMPLE_RATE / len(fast)
    assert loudest == pytest.approx(500, abs=1)


def test_a_recording_keeps_its_name_and_its_truth(tmp_path: Path, demo_corpus: Path) -> None:
    audio = min((demo_corpus / "Session1" / "dialog" / "wav").iterdir())
    spoken = Utterance("u1", "call", 1.0, 3.0, "A", "F", "so it is", "sad")
    call = Recording("call", audio, "Session1", False, (spoken,))
    moved = record_elsewhere(call, tmp_path, speeds=[0.8])
    assert moved == replace(
        call,
        audio=tmp_path / "call.flac",
        utterances=(replace(spoken, start=1.25, end=3.75),),
    )
    assert audio_duration(moved.audio) == pytest.approx(audio_duration(audio) / 0.8, abs=0.01)
    sound = read_audio(moved.audio)
    again = read_audio(record_elsewhere(call, tmp_path / "again", speeds=[0.8]).audio)
    named_other = replace(call, name="other")
    other = read_audio(record_elsewhere(named_other, tmp_path / "again", speeds=[0.8]).audio)
    assert np.array_equal(sound, again)
    assert not np.array_equal(sound, other)
