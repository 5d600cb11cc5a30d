"""A recording's outline, to be drawn."""

import numpy as np

from components.conversation.audio import SAMPLE_RATE

PEAKS_PER_SECOND = 20
"""Fine enough to see a syllable, and an hour is 72,000 numbers."""


def peaks(samples: np.ndarray, per_second: int = PEAKS_PER_SECOND) -> np.ndarray:
    """The largest magnitude in each stretch of a recording, in percent of full scale.

    >>> sound = np.concatenate([np.zeros(1600), np.full(1600, -0.5), np.full(800, 2.0)])
    >>> peaks(sound, 10).tolist()
    [0, 50, 100]

    Args:
        samples: float [n], mono at 16 kHz.
        per_second: stretches in a second.

    Returns:
        int64 [stretches], 0 to 100; the last stretch may be shorter.
    """
    if not len(samples):
        return np.zeros(0, np.int64)
    firsts = np.arange(0, len(samples), SAMPLE_RATE // per_second)
    largest = np.maximum.reduceat(np.abs(samples), firsts)
    return np.rint(100 * np.minimum(largest, 1.0)).astype(np.int64)
