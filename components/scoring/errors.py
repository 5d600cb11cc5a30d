"""Errors as counts that check themselves and add up; a rate is only ever their quotient."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from components.conversation import Seconds

ROUNDING = 1e-6
"""Seconds: what floating point may make of a sum that should be zero."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """What the kinds of counts share: they add up field by field, and have a rate."""

    @classmethod
    def zero(cls) -> Self:
        """The neutral element of addition."""
        return cls(*(0 for _ in fields(cls)))

    @property
    def rate(self) -> float | None:
        """The quotient of the counts; None where there is nothing to divide by."""
        raise NotImplementedError

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def to_json(self) -> dict[str, Any]:
        """As `moodline score --json` prints it: counts (seconds to the nanosecond) and rate."""
        return {**{name: round(n, 9) for name, n in asdict(self).items()}, "rate": self.rate}


@dataclass(frozen=True, slots=True)
class TimeErrors(_Counts):
    """Seconds of speech in error, for TEER, sTEER and DER.

    `rate` is (missed + false_alarm + confusion) / total (Wu et al., 2023, eq. 1), None where
    there is nothing to score. Seconds are added over recordings first, then divided:

    >>> one = TimeErrors(missed=1, false_alarm=0, confusion=2, total=10)
    >>> other = TimeErrors(missed=0, false_alarm=1, confusion=0, total=30)
    >>> (one + other).rate
    0.1

    Attributes:
        missed: reference speech without hypothesis.
        false_alarm: hypothesis speech without reference.
        confusion: reference speech with a hypothesis of another label.
        total: reference speech; speech of two at once counts twice.
    """

    missed: Seconds
    false_alarm: Seconds
    confusion: Seconds
    total: Seconds

    def __post_init__(self) -> None:
        _check_seconds(self)
        if self.missed + self.confusion > self.total * (1 + ROUNDING) + ROUNDING:
            raise ValueError(
                f"missed {self.missed} and confusion {self.confusion} exceed total {self.total}"
            )

    @property
    def rate(self) -> float | None:
        """Errors over reference speech; may exceed 1; None without reference speech."""
        return _divide(self.in_error, self.total)

    @property
    def in_error(self) -> Seconds:
        """All seconds in error."""
        return self.missed + self.false_alarm + self.confusion

    @property
    def agreed(self) -> Seconds:
        """Speech in both reference and hypothesis."""
        return max(0.0, self.total - self.missed)

    @property
    def rate_on_agreed(self) -> float | None:
        """Confusion over agreed speech: EERa for TEER's errors, sEERa for sTEER's."""
        return _divide(self.confusion, self.agreed)

    def agreed_to_json(self) -> dict[str, float | None]:
        """EERa or sEERa with what it is the quotient of; seconds to the nanosecond."""
        seconds = {"confusion": round(self.confusion, 9), "agreed": round(self.agreed, 9)}
        return {**seconds, "rate": self.rate_on_agreed}


@dataclass(frozen=True, slots=True)
class EmotionErrors(_Counts):
    """Seconds in which the emotion is wrong, for EDER: each moment counts once, and at most once.

    `rate` is (missed + false_alarm + confusion + overlap) / total (Wang et al., 2023), so it lies
    between 0 and 1.

    Attributes:
        missed: an emotion that is there is not heard.
        false_alarm: an emotion is heard where there is none.
        confusion: another emotion is heard than the one that is there.
        overlap: the one that is there is heard, and another one with it.
        total: all that is scored, speech or not.
    """

    missed: Seconds
    false_alarm: Seconds
    confusion: Seconds
    overlap: Seconds
    total: Seconds

    def __post_init__(self) -> None:
        _check_seconds(self)
        if self.in_error > self.total * (1 + ROUNDING) + ROUNDING:
            raise ValueError(f"{self.in_error} seconds in error exceed total {self.total}")

    @property
    def in_error(self) -> Seconds:
        """All seconds in error."""
        return self.missed + self.false_alarm + self.confusion + self.overlap

    @property
    def rate(self) -> float | None:
        """Errors over all that is scored; None where nothing is."""
        return _divide(self.in_error, self.total)


def _check_seconds(errors: TimeErrors | EmotionErrors) -> None:
    """Refuse what cannot be seconds; what floating point made of zero is zero."""
    for field in fields(errors):
        value = getattr(errors, field.name)
        if not math.isfinite(value) or value < -ROUNDING:
            raise ValueError(f"{field.name} must be seconds, at least 0, and is {value}")
        object.__setattr__(errors, field.name, max(0.0, float(value)))


@dataclass(frozen=True, slots=True)
class WordErrors(_Counts):
    """Words in error, for WER and cpWER.

    >>> (WordErrors(1, 10) + WordErrors(2, 20)).rate
    0.1

    Attributes:
        errors: substitutions, insertions and deletions.
        length: words in the reference.
    """

    errors: int
    length: int

    def __post_init__(self) -> None:
        if self.errors < 0 or self.length < 0:
            raise ValueError(f"errors {self.errors} and length {self.length} must be at least 0")

    @property
    def rate(self) -> float | None:
        """Errors over reference words; may exceed 1; None without reference words."""
        return _divide(self.errors, self.length)


@dataclass(frozen=True, slots=True)
class Share(_Counts):
    """A part of a whole, counted: right answers of all answers, for instance.

    >>> Share(1, 2) + Share(2, 2)
    Share(correct=3, total=4)
    >>> (Share(1, 2) + Share(2, 2)).rate
    0.75
    >>> Share(3, 2)
    Traceback (most recent call last):
    ValueError: 3 of 2 is no share
    """

    correct: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.total:
            raise ValueError(f"{self.correct} of {self.total} is no share")

    @property
    def rate(self) -> float | None:
        """The part over the whole; None of nothing."""
        return _divide(self.correct, self.total)


@dataclass(frozen=True, slots=True)
class Matches(_Counts):
    """What was to be found, what was found, and how much of it is right.

    >>> Matches(found=1, hypothesis=2, reference=4).recall
    0.25
    >>> Matches(found=3, hypothesis=2, reference=4)
    Traceback (most recent call last):
    ValueError: 3 found of 2 in the hypothesis and 4 in the reference

    Attributes:
        found: of the reference, those that the hypothesis has.
        hypothesis: all that it has.
        reference: all that there are.
    """

    found: int
    hypothesis: int
    reference: int

    def __post_init__(self) -> None:
        if not 0 <= self.found <= min(self.hypothesis, self.reference):
            raise ValueError(
                f"{self.found} found of {self.hypothesis} in the hypothesis and {self.reference}"
                " in the reference"
            )

    @property
    def precision(self) -> float | None:
        """Found of all that the hypothesis has; None where it has nothing."""
        return _divide(self.found, self.hypothesis)

    @property
    def recall(self) -> float | None:
        """Found of all that the reference has; None where it has nothing."""
        return _divide(self.found, self.reference)

    @property
    def rate(self) -> float | None:
        """F1 of the two; None where neither side has anything."""
        return _divide(2 * self.found, self.hypothesis + self.reference)

    def to_json(self) -> dict[str, Any]:
        """The counts, precision, recall and, as `rate`, F1."""
        return {**_Counts.to_json(self), "precision": self.precision, "recall": self.recall}


def _divide(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator > 0 else None
