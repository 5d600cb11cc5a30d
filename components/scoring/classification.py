"""Accuracy, recalls and F1 from a confusion matrix that is kept whole."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from components.base import InputError
from components.conversation import DEFAULT_LABELS, NO_ANSWER
from components.scoring.errors import Share


@dataclass(frozen=True, slots=True)
class Classification:
    """Counts of utterances by reference emotion (rows) and answer (columns; the last: none).

    They add up. An utterance without an answer is a wrong one. Averages over emotions are over
    those that the reference has; an emotion it lacks has no recall, and its answers are already
    wrong answers to others.

    Attributes:
        confusion: [k, k + 1].
        labels: the k emotions that are scored.
    """

    confusion: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...] = DEFAULT_LABELS

    def __post_init__(self) -> None:
        size = len(self.labels)
        if [len(row) for row in self.confusion] != [size + 1] * size:
            raise ValueError(f"this confusion matrix has {size} rows and {size + 1} columns")
        if any(count < 0 for row in self.confusion for count in row):
            raise ValueError("a confusion matrix counts from 0")

    @classmethod
    def zero(cls, labels: Sequence[str] = DEFAULT_LABELS) -> Self:
        """The neutral element of addition."""
        return cls(((0,) * (len(labels) + 1),) * len(labels), tuple(labels))

    def __add__(self, other: "Classification") -> "Classification":
        if not isinstance(other, Classification):
            return NotImplemented
        if self.labels != other.labels:
            raise ValueError(f"counts of {self.labels} and of {other.labels} do not add up")
        rows = (self.counts + other.counts).tolist()
        return Classification(tuple(tuple(row) for row in rows), self.labels)

    @property
    def counts(self) -> np.ndarray:
        """The confusion matrix [k, k + 1]."""
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
            for i, name in enumerate(self.labels)
        }

    def to_json(self) -> dict[str, Any]:
        """Counts first, rates beside them."""
        labels = {"reference": list(self.labels), "answers": [*self.labels, NO_ANSWER]}
        return {
            "accuracy": self.accuracy.to_json(),
            "uar": self.uar,
            "macro_f1": self.macro_f1,
            "weighted_f1": self.weighted_f1,
            "emotions": self.emotions,
            "confusion": {**labels, "counts": self.counts.tolist()},
        }


def classification(
    reference: Sequence[str],
    predicted: Sequence[str | None],
    labels: Sequence[str] = DEFAULT_LABELS,
) -> Classification:
    """Count answers.

    >>> counted = classification(["sad", "sad", "angry"], ["sad", None, "angry"])
    >>> counted.accuracy
    Share(correct=2, total=3)
    >>> counted.uar
    0.75

    Args:
        reference: emotions, each one of the labels.
        predicted: the answers, in the same order; None or another label is a wrong answer.
        labels: the emotions that are scored.

    Raises:
        InputError: a reference emotion that is not scored, or lists of different lengths.
    """
    if len(reference) != len(predicted):
        raise InputError(f"{len(reference)} reference emotions and {len(predicted)} answers")
    unscored = next((emotion for emotion in reference if emotion not in labels), None)
    if unscored is not None:
        raise InputError(
            f"reference emotion “{unscored}” is not scored; leave it out, or name one of"
            f" {', '.join(labels)}"
        )
    pairs: Counter[tuple[str, str]] = Counter(
        (r, p if p is not None and p in labels else NO_ANSWER)
        for r, p in zip(reference, predicted, strict=True)
    )
    answers = (*labels, NO_ANSWER)
    rows = tuple(tuple(pairs[r, p] for p in answers) for r in labels)
    return Classification(rows, tuple(labels))


def _margins(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right answers, reference utterances and answers of each emotion: [..., k] each."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    return right, counts.sum(-1), counts[..., :-1].sum(-2)


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Accuracy of confusion matrices [..., k, k + 1]; NaN of nothing."""
    right, reference, _ = _margins(counts)
    return _quotient(right.sum(-1), reference.sum(-1))


def uar(counts: np.ndarray) -> np.ndarray:
    """Unweighted average recall of confusion matrices [..., k, k + 1]."""
    right, reference, _ = _margins(counts)
    return _mean(_quotient(right, reference), reference > 0)


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each emotion, 2·TP / (2·TP + FP + FN): [..., k]; NaN where the reference has none."""
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
