"""Crosstalk between the channels of a recording, found and muted.

A stretch in which a channel is a quieter, delayed copy of another channel is not speech of its own
speaker: the microphone, or the telephone's line, picked up the other's.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from components.conversation.audio_blocks import SAMPLE_RATE
from components.conversation.types import Seconds

HOP: Seconds = 0.1
"""Crosstalk is decided for stretches of this length, each by a window around it."""

WINDOW: Seconds = 0.3
MAX_DELAY: Seconds = 0.1
"""Of the copy, after or before; of a telephone's echo, or of encoders."""

QUIETER = 4.0
"""How many times the power of its copy a voice has at least in its own channel: 6 dB."""

COPY = 0.3
"""The largest correlation within `MAX_DELAY` of a copy is above this, in a room too; that of two
voices is below 0.2."""

AUDIBLE = 1e-9
"""Mean square of samples, under which a channel is silent: 90 dB under full scale."""

ISLAND = 2
"""So few stretches between crosstalk are crosstalk, too."""

BLOCK: Seconds = 30.0
"""Worked on at once."""

RATE = SAMPLE_RATE // 2
"""Hz, at which channels are compared: voices are below its half."""

_HOP, _WINDOW, _DELAY = round(HOP * RATE), round(WINDOW * RATE), round(MAX_DELAY * RATE)
_MARGIN = (_WINDOW - _HOP) // 2 + _DELAY  # around a stretch, for its window and all delays
_SIZE = 1 << (_WINDOW + 2 * _DELAY - 1).bit_length()


def mute_crosstalk(channels: np.ndarray) -> None:
    """Set to 0 where a channel has only another one's voice.

    Args:
        channels: float [channels, samples] at `SAMPLE_RATE`; changed in place.
    """
    copies = crosstalk(channels)
    width = round(HOP * SAMPLE_RATE)
    for channel, muted in zip(channels, copies, strict=True):
        for first in np.flatnonzero(muted).tolist():
            channel[first * width : (first + 1) * width] = 0


def crosstalk(channels: np.ndarray) -> np.ndarray:
    """Where a channel has only another one's voice.

    Args:
        channels: float [channels, samples] at `SAMPLE_RATE`.

    Returns:
        bool [channels, stretches], for each `HOP` seconds of each channel.
    """
    count, samples = channels.shape
    stretches = -(-samples // round(HOP * SAMPLE_RATE))
    found = np.zeros((count, stretches), bool)
    silent = np.zeros((count, stretches), bool)
    per_block = round(BLOCK / HOP)
    for first in range(0, stretches, per_block):
        last = min(first + per_block, stretches)
        windows = _windows(channels, first, last)
        here = slice(first, last)
        found[:, here], silent[:, here] = _compared(windows)
    return np.stack([_filled(*pair) for pair in zip(found, silent, strict=True)])


def _windows(channels: np.ndarray, first: int, last: int) -> np.ndarray:
    """float32 [channels, stretches, `_WINDOW` + 2 · `_DELAY`] around the stretches, at `RATE`.

    Differences of samples: what is low and strong in every voice is alike in all.
    """
    step = SAMPLE_RATE // RATE
    begin, end = (first * _HOP - _MARGIN) * step, (last * _HOP + _MARGIN) * step
    piece = channels[:, max(begin, 0) : end].astype(np.float32)
    missing = max(-begin, 0), end - begin - max(-begin, 0) - piece.shape[1]
    piece = np.pad(piece, ((0, 0), missing))
    low = piece.reshape(len(piece), -1, step).mean(axis=2)
    low[:, 1:] -= 0.9 * low[:, :-1]
    return sliding_window_view(low, _WINDOW + 2 * _DELAY, axis=1)[:, ::_HOP][:, : last - first]


def _compared(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which windows [channels, stretches, samples] are copies of the loudest channel's, and which
    are silent: each bool [channels, stretches]."""
    inner = windows[:, :, _DELAY:-_DELAY]
    powers = np.einsum("csn,csn->cs", inner, inner) / _WINDOW
    loudest = powers.argmax(axis=0)
    silent = powers < AUDIBLE
    copies = np.zeros(powers.shape, bool)
    for channel, own in enumerate(powers):
        quieter = ~silent[channel] & (own * QUIETER < powers.max(axis=0))
        rows = np.flatnonzero(quieter)
        if len(rows):
            other = windows[loudest[rows], rows]
            copies[channel, rows] = _alike(inner[channel, rows], other) > COPY
    return copies, silent


def _alike(short: np.ndarray, long: np.ndarray) -> np.ndarray:
    """The largest correlation of short [n, `_WINDOW`] with any stretch of long [n, samples]."""
    spectra = np.fft.rfft(long, _SIZE) * np.fft.rfft(short, _SIZE).conj()
    products = np.fft.irfft(spectra, _SIZE)[:, : 2 * _DELAY + 1]
    sums = np.cumsum(np.pad(np.square(long, dtype=np.float64), ((0, 0), (1, 0))), axis=1)
    energy = sums[:, _WINDOW:] - sums[:, :-_WINDOW]
    own = np.square(short, dtype=np.float64).sum(axis=1, keepdims=True)
    return (np.abs(products) / np.sqrt(np.maximum(energy * own, 1e-20))).max(axis=1)


def _filled(copies: np.ndarray, silent: np.ndarray) -> np.ndarray:
    """Where there is crosstalk [stretches], with the `ISLAND`s between it."""
    result = copies.copy()
    own = ~(copies | silent)
    edges = np.flatnonzero(np.diff(np.r_[False, own, False].astype(int)))
    for first, last in edges.reshape(-1, 2).tolist():
        beside = copies[max(first - 1, 0) : first].any() or copies[last : last + 1].any()
        if beside and last - first <= ISLAND:
            result[first:last] = True
    return result
