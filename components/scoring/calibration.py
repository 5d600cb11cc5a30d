"""Expected calibration error: does “80 % sure” mean right in 80 of 100?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.scoring.intervals import wilson

BINS = 10
MIN_ANSWERS = 5
"""In each bin: of fewer the share of right ones says nothing, so few answers have fewer bins."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Answers by confidence, in bins of equal count.

    Bins of equal width would hold most of a sure model's answers in the last one, and a handful in
    the others (Nguyen & O'Connor, 2015). Answers with the same confidence share a bin.

    Attributes:
        low, high: the least and the highest confidence in each bin, which follow each other.
        count: answers in each bin, none of them empty.
        correct: right ones among them.
        confidence: the sum of their confidences.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    count: tuple[int, ...]
    correct: tuple[int, ...]
    confidence: tuple[float, ...]

    @property
    def ece(self) -> float | None:
        """Σ |right − confidence| / answers over the bins (Guo et al., 2017, eq. 3)."""
        total = sum(self.count)
        gaps = np.abs(np.array(self.correct) - np.array(self.confidence))
        return float(gaps.sum() / total) if total else None

    @property
    def least_ece(self) -> float | None:
        """The error that is there even if each bin's share of right answers lies as near to its
        confidence as its 95 % interval reaches."""
        total = sum(self.count)
        gaps = 0.0
        for count, right, sure in zip(self.count, self.correct, self.confidence, strict=True):
            likely = wilson(right / count, count)
            gaps += max(likely.low * count - sure, sure - likely.high * count, 0.0)
        return gaps / total if total else None

    def to_json(self) -> dict[str, Any]:
        """The bins and the error."""
        columns = (self.low, self.high, self.count, self.correct, self.confidence)
        names = ("from", "to", "count", "correct", "confidence")
        bins = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        errors = {"ece": self.ece, "least_ece": self.least_ece}
        return {**errors, "total": sum(self.count), "bins": bins}


def calibration(confidence: Sequence[float], correct: Sequence[bool]) -> Calibration:
    """Bin answers by their confidence (0 to 1).

    >>> calibration([0.9, 0.9], [True, False]).ece  # 90 % sure, 50 % right
    0.4
    """
    sure, right = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if len(sure) != len(right) or ((sure < 0) | (sure > 1 + 1e-6)).any():
        raise ValueError("each answer needs a confidence from 0 to 1")
    if not len(sure):
        return Calibration((), (), (), (), ())
    order = np.argsort(sure, kind="stable")
    sure, right = sure[order], right[order]
    size = min(max(len(sure) // MIN_ANSWERS, 1), BINS)
    # An answer's rank is that of the first with its confidence: equal ones are not torn apart.
    bins = np.searchsorted(sure, sure, side="left") * size // len(sure)
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    ends = np.append(starts[1:], len(sure))
    hits, sums = np.add.reduceat(right, starts), np.add.reduceat(sure, starts)
    columns = (sure[starts], sure[ends - 1], ends - starts, hits.astype(int), sums)
    return Calibration(*(tuple(values.tolist()) for values in columns))
