"""What is measured on a turn besides its emotion: the same for training examples and traffic."""

import numpy as np

from components.conversation import SAMPLE_RATE

_FRAME = SAMPLE_RATE // 50
_FLOOR = 1e-10


def turn_measures(audio: np.ndarray, words: str) -> dict[str, float]:
    """Duration, speaking rate, loudness and an estimate of the noise of a turn.

    Args:
        audio: float32 [samples], mono at 16 kHz.
        words: the turn's text.

    Returns:
        `duration` in seconds, `words_per_second`, `loudness_db` (root mean square against full
        scale, not under -100) and `snr_db` (the mean power against the quietest tenth of 20 ms
        frames, in decibels; 0 for sound that does not vary).
    """
    duration = len(audio) / SAMPLE_RATE
    power = np.square(np.asarray(audio, dtype=np.float64))
    mean = max(float(power.mean()), _FLOOR) if len(power) else _FLOOR
    frames = power[: len(power) // _FRAME * _FRAME].reshape(-1, _FRAME).mean(axis=1)
    quiet = max(float(np.quantile(frames, 0.1)), _FLOOR) if len(frames) else mean
    return {
        "duration": duration,
        "words_per_second": len(words.split()) / duration if duration else 0.0,
        "loudness_db": 10 * float(np.log10(mean)),
        "snr_db": max(10 * float(np.log10(mean / quiet)), 0.0),
    }
