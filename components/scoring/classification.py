"""Accuracy, recalls and F1 from a confusion matrix that is kept whole."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from components.base import InputError
from components.conversation import DEFAULT_LABELS
from components.scoring.errors import Share

SIZE = len(DEFAULT_LABELS)
ANSWERS = (*DEFAULT_LABELS, "none")
"""The columns of a confusion matrix: an utterance may have no answer, or one that is none of
the four."""


@dataclass(frozen=True, slots=True)
class Classification:
    """Counts of utterances by reference emotion (rows) and answer (columns `ANSWERS`).

    They add up. An utterance without an answer is a wrong one. Averages over emotions are over
    those that the reference has; an emotion it lacks has no recall, and its answers are already
    wrong answers to others.
    """

    confusion: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if [len(row) for row in self.confusion] != [SIZE + 1] * SIZE:
            raise ValueError(f"a confusion matrix has {SIZE} rows and {SIZE + 1} columns")
        if any(count < 0 for row in self.confusion for count in row):
            raise ValueError("a confusion matrix counts from 0")

    @classmethod
    def zero(cls) -> Self:
        """The neutral element of addition."""
        return cls(((0,) * (SIZE + 1),) * SIZE)

    def __add__(self, other: "Classification") -> "Classification":
        if not isinstance(other, Classification):
            return NotImplemented
        rows = (self.counts + other.counts).tolist()
        return Classification(tuple(tuple(row) for row in rows))

    @property
    def counts(self) -> np.ndarray:
        """The confusion matrix [4, 5]."""
        return np.array(self.confusion, dtype=np.int64)

    @property
    def accuracy(self) -> Share:
        """Weighted accuracy (WAR): right answers of all utterances."""
        return Share(int(np.trace(self.counts)), int(self.counts.sum()))

    @property
    def uar(self) -> float | None:
        """Unweighted average recall."""
        return _number(uar(self.counts))

    @property
    def macro_f1(self) -> float | None:
        """Unweighted mean of the emotions' F1."""
        return _number(macro_f1(self.counts))

    @property
    def weighted_f1(self) -> float | None:
        """Mean of the emotions' F1, weighted by their utterances."""
        return _number(weighted_f1(self.counts))

    @property
    def emotions(self) -> dict[str, dict[str, Any]]:
        """Counts and rates of each emotion."""
        scores = f1(self.counts)
        right, reference, predicted = (margin.tolist() for margin in _margins(self.counts))
        return {
            name: {
                "correct": right[i],
                "reference": reference[i],
                "answered": predicted[i],
                "recall": Share(right[i], reference[i]).rate,
                "precision": Share(right[i], predicted[i]).rate,
                "f1": _number(scores[i]),
            }
            for i, name in enumerate(DEFAULT_LABELS)
        }

    def to_json(self) -> dict[str, Any]:
        """Counts first, rates beside them."""
        labels = {"reference": list(DEFAULT_LABELS), "answers": list(ANSWERS)}
        return {
            "accuracy": self.accuracy.to_json(),
            "uar": self.uar,
            "macro_f1": self.macro_f1,
            "weighted_f1": self.weighted_f1,
            "emotions": self.emotions,
            "confusion": {**labels, "counts": self.counts.tolist()},
        }


def classification(reference: Sequence[str], predicted: Sequence[str | None]) -> Classification:
    """Count answers.

    >>> counted = classification(["sad", "sad", "angry"], ["sad", None, "angry"])
    >>> counted.accuracy
    Share(correct=2, total=3)
    >>> counted.uar
    0.75

    Args:
        reference: emotions, each one of `DEFAULT_LABELS`.
        predicted: the answers, in the same order; None or another label is a wrong answer.

    Raises:
        InputError: a reference emotion that is not scored, or lists of different lengths.
    """
    if len(reference) != len(predicted):
        raise InputError(f"{len(reference)} reference emotions and {len(predicted)} answers")
    unscored = next((emotion for emotion in reference if emotion not in DEFAULT_LABELS), None)
    if unscored is not None:
        raise InputError(
            f"reference emotion “{unscored}” is not scored; leave it out, or name one of"
            f" {', '.join(DEFAULT_LABELS)}"
        )
    pairs: Counter[tuple[str, str]] = Counter(
        (r, p if p in DEFAULT_LABELS else "none") for r, p in zip(reference, predicted, strict=True)
    )
    return Classification(tuple(tuple(pairs[r, p] for p in ANSWERS) for r in DEFAULT_LABELS))


def _margins(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right answers, reference utterances and answers of each emotion: [..., 4] each."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    return right, counts.sum(-1), counts[..., :SIZE].sum(-2)


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Accuracy of confusion matrices [..., 4, 5]; NaN of nothing."""
    right, reference, _ = _margins(counts)
    return _quotient(right.sum(-1), reference.sum(-1))


def uar(counts: np.ndarray) -> np.ndarray:
    """Unweighted average recall of confusion matrices [..., 4, 5]."""
    right, reference, _ = _margins(counts)
    return _mean(_quotient(right, reference), reference > 0)


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each emotion, 2·TP / (2·TP + FP + FN): [..., 4]; NaN where the reference has none."""
    right, reference, predicted = _margins(counts)
    return np.where(reference > 0, _quotient(2 * right, reference + predicted), np.nan)


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 of the emotions that the reference has."""
    return _mean(f1(counts), counts.sum(-1) > 0)


def weighted_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 of the emotions, weighted by their reference utterances."""
    reference = counts.sum(-1)
    return _quotient((np.nan_to_num(f1(counts)) * reference).sum(-1), reference.sum(-1))


def _quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    nothing = denominator == 0
    return np.where(nothing, np.nan, numerator / np.where(nothing, 1, denominator))


def _mean(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    return _quotient(np.where(counted, values, 0.0).sum(-1), counted.sum(-1))


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
