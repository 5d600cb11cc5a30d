"""Where speech begins and ends in sound that comes in pieces; real people speak."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from components.conversation import SAMPLE_RATE, read_audio, read_rttm
from serving.live.endpoints import LONGEST, Endpointer


def found(audio: np.ndarray, size: int) -> list[tuple[float, float]]:
    endpoints = Endpointer()
    parts = [endpoints.hear(audio[n : n + size]) for n in range(0, len(audio), size)]
    return [stretch for part in (*parts, endpoints.end()) for stretch in part]


@pytest.fixture(scope="module")
def speech(sample_dir: Path) -> np.ndarray:
    return read_audio(sample_dir / "sample.wav")


def test_all_speech_is_in_a_stretch(speech: np.ndarray, sample_dir: Path) -> None:
    """Held against the boundaries that pyannote.audio's authors give with their recording."""
    stretches = found(speech, 1600)
    assert all(a[1] <= b[0] for a, b in pairwise(stretches)), "in order, and apart"
    assert max(end - start for start, end in stretches) <= LONGEST + 0.5
    heard = np.zeros(len(speech), bool)
    for start, end in stretches:
        heard[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
    spoken = np.zeros(len(speech), bool)
    for segment in read_rttm(sample_dir / "sample.rttm")["sample"]:
        spoken[round(segment.start * SAMPLE_RATE) : round(segment.end * SAMPLE_RATE)] = True
    assert heard[spoken].mean() > 0.95
    assert not heard[: 6 * SAMPLE_RATE].any(), "nobody speaks there"


@pytest.mark.parametrize("size", [1, 511, 513, 64_000])
def test_it_is_the_same_however_the_sound_comes(speech: np.ndarray, size: int) -> None:
    part = speech[6 * SAMPLE_RATE : (7 if size == 1 else 16) * SAMPLE_RATE]
    assert found(part, size) == found(part, len(part))


def test_nobody_speaks() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 10 * SAMPLE_RATE).astype(np.float32)
    assert found(np.zeros(10 * SAMPLE_RATE, np.float32), 1600) == []
    assert found(noise, 1600) == []
    assert found(np.zeros(0, np.float32), 1600) == []
