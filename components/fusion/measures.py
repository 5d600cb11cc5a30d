"""Measures of a turn besides its emotion, the same for training examples and traffic."""

import math

import numpy as np

from components.conversation import SAMPLE_RATE

_FRAME = SAMPLE_RATE // 50
_FLOOR = 1e-10


def turn_measures(audio: np.ndarray, words: str) -> dict[str, float]:
    """Duration, speaking rate, loudness and an estimate of the noise of a turn.

    Args:
        audio: float32 [samples], mono at 16 kHz.

    Returns:
        `duration` in seconds, `words_per_second`, `loudness_db` (root mean square against full
        scale, not under -100) and `snr_db` (the mean power against the quietest tenth of 20 ms
        frames, in decibels; 0 for sound that does not vary).
    """
    duration = len(audio) / SAMPLE_RATE
    # Every request pays for this, so it makes no array as long as the sound.
    whole = len(audio) // _FRAME * _FRAME
    cut, rest = audio[:whole].reshape(-1, _FRAME), audio[whole:]
    frames = np.einsum("ij,ij->i", cut, cut).astype(np.float64) / _FRAME
    energy = _FRAME * float(frames.sum()) + float(rest @ rest)
    mean = max(energy / len(audio), _FLOOR) if len(audio) else _FLOOR
    quiet = max(_lowest_tenth(frames), _FLOOR) if len(frames) else mean
    return {
        "duration": duration,
        "words_per_second": len(words.split()) / duration if duration else 0.0,
        "loudness_db": 10 * math.log10(mean),
        "snr_db": max(10 * math.log10(mean / quiet), 0.0),
    }


def _lowest_tenth(values: np.ndarray) -> float:
    """`np.quantile(values, 0.1)`, in a tenth of its time for so few values."""
    at = 0.1 * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    ordered = np.partition(values, (low, high))
    return float(ordered[low] + (at - low) * (ordered[high] - ordered[low]))
