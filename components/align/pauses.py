"""How long a pause within a turn lasts in a recording, by its own pauses."""

from typing import Literal

import numpy as np

from components.conversation import Seconds

Auto = Literal["auto"]

DEFAULT: Seconds = 1.5
"""The longest pause within a turn where nothing else is said."""

FEWEST = 30
"""Fewer pauses tell nothing of a recording; `DEFAULT` holds."""

SHORTEST: Seconds = 0.05
"""A shorter gap between two words is none."""

LONGEST: Seconds = 3.0
"""A longer pause ends a turn whatever is usual."""

LEAST: Seconds = 0.5
"""The answer is no less: people take breath for so long."""


def usual_pause(pauses: np.ndarray) -> Seconds:
    """The longest pause that belongs to a turn, from the pauses between one speaker's words.

    People breathe in pauses of one length and stop in pauses of another. The bound between the two
    is where the logarithms of the lengths fall into two classes that differ most (Otsu, “A
    threshold selection method from gray-level histograms”, 1979).

    >>> breath, stop = np.linspace(0.1, 0.3, 40), np.linspace(2.0, 3.0, 20)
    >>> 0.3 < usual_pause(np.r_[breath, stop]) < 2.0
    True
    >>> usual_pause(breath[:5])
    1.5

    Args:
        pauses: seconds from a word's end to the start of the same speaker's next one, [pauses];
            those that are too short to hear, or too long for a turn, are passed over.
    """
    logs = np.sort(np.log(pauses[(pauses >= SHORTEST) & (pauses <= LONGEST)]))
    if len(logs) < FEWEST:
        return DEFAULT
    below = np.arange(1, len(logs))
    low = np.cumsum(logs)[:-1] / below
    high = (logs.sum() - np.cumsum(logs)[:-1]) / (len(logs) - below)
    between = below * (len(logs) - below) * (high - low) ** 2
    at = int(between.argmax())
    return max(LEAST, float(np.exp((logs[at] + logs[at + 1]) / 2)))
