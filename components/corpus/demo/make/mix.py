"""Spoken pieces put into a quiet room, and when each speaker truly speaks in it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from components.conversation import SAMPLE_RATE, Seconds, SpeakerSegment, Word

LEAD: Seconds = 0.8  # of room before the first turn and after the last
PAUSE: Seconds = 0.3  # a longer silence inside a turn is not speech
ROOM_DB = -48.0  # the noise of a quiet room, beside speech at about -25 dB


class Spoken(Protocol):
    """A turn at its place in a dialogue."""

    @property
    def speaker(self) -> str:
        """Whose it is."""

    @property
    def words(self) -> tuple[Word, ...]:
        """All of them, with times."""

    @property
    def start(self) -> float:
        """Seconds."""

    @property
    def end(self) -> float:
        """Seconds."""


def mixed(pieces: Sequence[tuple[int, np.ndarray]], name: str) -> np.ndarray:
    """A dialogue's sound: float32, mono, 16 kHz, at most 0.97 where it had to be made quieter.

    Args:
        pieces: the first sample of each, and its sound.
        name: of the dialogue; every name has its own noise.
    """
    latest = max(first + piece.size for first, piece in pieces)
    sound = _room(latest + round(LEAD * SAMPLE_RATE), name)
    for first, piece in pieces:
        sound[first : first + piece.size] += piece
    peak = float(np.abs(sound).max())
    return (sound / max(1.0, peak / 0.97)).astype(np.float32)


def _room(samples: int, name: str) -> np.ndarray:
    """Noise, pink from 500 Hz; every dialogue its own."""
    rng = np.random.default_rng(list(name.encode()))
    spectrum = np.fft.rfft(rng.normal(size=samples))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.size), spectrum.size // 16))
    noise = np.fft.irfft(spectrum, samples)
    return noise * (10 ** (ROOM_DB / 20) / np.sqrt(np.mean(noise**2)))


def speech(turns: Sequence[Spoken]) -> list[SpeakerSegment]:
    """When each speaker truly speaks: the turns without the pauses inside them."""
    segments = []
    for turn in turns:
        start = turn.start
        for word, following in pairwise(turn.words):
            assert word.end is not None and following.start is not None
            if following.start - word.end > PAUSE:
                segments.append(SpeakerSegment(start, word.end, turn.speaker))
                start = following.start
        segments.append(SpeakerSegment(start, turn.end, turn.speaker))
    return sorted(segments)
