"""The sound of a call that grows."""

import io

import numpy as np
import pytest
import soundfile

from serving.live.sound import CallSound
from tests.serving.live_client import pcm


@pytest.fixture
def speech() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, 16_000).astype(np.float32)


def test_what_came_is_there(speech: np.ndarray) -> None:
    sound, whole = CallSound(), pcm(speech)
    heard = [sound.add(whole[n : n + 3200], now=n / 32_000) for n in range(0, len(whole), 3200)]
    assert sound.seconds == 1.0
    assert np.array_equal(np.concatenate(heard), sound.read(0, 1))
    assert np.abs(sound.read(0, 1) - speech).max() < 1e-4
    assert np.array_equal(sound.read(0.25, 0.5), sound.read(0, 1)[4000:8000])
    assert len(sound.read(0.9, 5)) == 1600
    assert len(sound.read(3, 5)) == 0
    sound.add(whole[:320], now=2.0)
    assert sound.samples == 16_160
    sound.close()


def test_it_becomes_a_wav_file(speech: np.ndarray) -> None:
    sound = CallSound()
    sound.add(pcm(speech), now=0.0)
    for _ in range(2):  # a second time, where the first could not be handed over
        read, rate = soundfile.read(io.BytesIO(sound.as_wav().read()), dtype="int16")
        assert rate == 16_000
        assert read.tobytes() == pcm(speech)
    sound.close()


def test_when_a_second_came(speech: np.ndarray) -> None:
    sound, second = CallSound(), pcm(speech)
    for now in (10.0, 11.0, 12.5):
        sound.add(second, now)
    assert sound.came_at(0.5) == 10.0
    assert sound.came_at(1.0) == 10.0
    assert sound.came_at(1.1) == 11.0
    assert sound.came_at(3.0) == 12.5
    assert sound.came_at(99.0) == 12.5
    sound.close()
