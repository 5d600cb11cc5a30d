"""Expected calibration error: does “80 % sure” mean right in 80 of 100?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.scoring.intervals import wilson

BINS = 10


@dataclass(frozen=True, slots=True)
class Calibration:
    """Answers by confidence, in bins of equal width from 0 to 1; the first bin holds 0.

    Attributes:
        count: answers in each bin.
        correct: right ones among them.
        confidence: the sum of their confidences.
    """

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
            if count:
                likely = wilson(right / count, count)
                gaps += max(likely.low * count - sure, sure - likely.high * count, 0.0)
        return gaps / total if total else None

    def to_json(self) -> dict[str, Any]:
        """The bins and the error."""
        rows = enumerate(zip(self.count, self.correct, self.confidence, strict=True))
        bins = [
            {"from": i / BINS, "to": (i + 1) / BINS, "count": n, "correct": right, "confidence": c}
            for i, (n, right, c) in rows
        ]
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
    bins = np.clip(np.ceil(np.minimum(sure, 1) * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    hits = np.bincount(bins, weights=right, minlength=BINS).astype(int)
    sums = np.bincount(bins, weights=sure, minlength=BINS)
    return Calibration(*(tuple(values.tolist()) for values in (count, hits, sums)))
