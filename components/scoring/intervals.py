"""How far a number can be trusted: intervals by conversation, and paired tests.

Utterances of one conversation are alike (the same two voices, the same room), so it is
conversations that are drawn again, not utterances.

Percentiles of draws are too narrow where conversations are few: a one-sided 95 % bound of four is
on the wrong side of the truth 10 times in 100. So the percentiles are taken further out, as far as
Student's t is wider than the normal distribution: the expanded percentile interval (Hesterberg,
2015, section 4.3). With many conversations it is the plain one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from components.base import InputError

RESAMPLES = 2000
LEVEL = 0.95
MIN_CONVERSATIONS = 2
"""Fewer conversations have no spread to measure."""

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"an interval from {self.low} to {self.high}")

    def to_json(self) -> dict[str, float]:
        """Both ends."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two systems on the same utterances: `difference` is the first less the second.

    Attributes:
        interval: 95 %, of the difference; None with fewer than two conversations.
        lower_bound, upper_bound: one-sided 95 % bounds of the difference, likewise.
        p_value: two-sided, by the same resamples, likewise.
        conversations: how many were drawn from.
    """

    difference: float
    interval: Interval | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None
    p_value: float | None = None
    conversations: int

    def to_json(self) -> dict[str, Any]:
        """As the report's JSON has it."""
        return asdict(self)


def bootstrap(
    counts: np.ndarray, statistic: Statistic, *, seed: int, resamples: int = RESAMPLES
) -> Interval | None:
    """The 95 % interval of a statistic of counts, by drawing conversations with replacement.

    >>> right_and_all = np.array([[9, 10], [6, 10], [8, 10]])
    >>> bootstrap(right_and_all, lambda sums: sums[..., 0] / sums[..., 1], seed=1)
    Interval(low=0.6, high=0.9)

    Args:
        counts: for each conversation its counts, [conversations, ...].
        statistic: of summed counts [..., ...] without the first axis, for any leading axes; draws
            for which it is NaN (nothing to divide by) are left out.

    Returns:
        None with fewer than two conversations, or where no draw has a value.
    """
    if len(counts) < MIN_CONVERSATIONS:
        return None
    values = statistic(_resample(counts, seed, resamples))
    return _interval(values[~np.isnan(values)], len(counts))


def wilson(rate: float, total: float) -> Interval:
    """The 95 % interval of a share of independent things (Wilson, 1927).

    >>> found = wilson(8 / 10, 10)
    >>> round(found.low, 3), round(found.high, 3)
    (0.49, 0.943)

    Args:
        rate: the share, from 0 to 1.
        total: what it is a share of, more than 0.
    """
    square = float(_normal().ppf((1 + LEVEL) / 2)) ** 2
    middle = (rate + square / (2 * total)) / (1 + square / total)
    spread = rate * (1 - rate) / total + square / (4 * total**2)
    half = math.sqrt(square * spread) / (1 + square / total)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, statistic: Statistic, *, seed: int
) -> Comparison:
    """Compare two systems by drawing the same conversations for both (Bisani & Ney, 2004).

    Args:
        first, second: each system's counts of the same conversations, [conversations, ...].
        statistic: as in `bootstrap`.

    Raises:
        InputError: not the same conversations.
    """
    if first.shape != second.shape:
        raise InputError(f"cannot compare {len(first)} conversations with {len(second)}")
    difference = float(statistic(first.sum(0)) - statistic(second.sum(0)))
    unknown = Comparison(difference=difference, conversations=len(first))
    if len(first) < MIN_CONVERSATIONS:
        return unknown
    drawn = _resample(np.stack([first, second], axis=1), seed, RESAMPLES)
    values = statistic(drawn[:, 0]) - statistic(drawn[:, 1])
    values = values[~np.isnan(values)]
    if not values.size:
        return unknown
    lowest = expanded(1 - LEVEL, len(first))
    lower_bound, upper_bound = np.quantile(values, [lowest, 1 - lowest]).tolist()
    # One draw is added on each side, so that no p-value is 0 (Davison & Hinkley, 1997, 4.2).
    tail = (min((values <= 0).sum(), (values >= 0).sum()) + 1) / (len(values) + 1)
    return replace(
        unknown,
        interval=_interval(values, len(first)),
        lower_bound=lower_bound,
        upper_bound=upper_bound,
        p_value=min(1.0, 2 * _shrunk(min(tail, 0.5), len(first))),
    )


def expanded(tail: float, conversations: int) -> float:
    """The share of draws that must lie beyond a bound, so that the truth does in `tail` of cases.

    >>> round(expanded(0.05, 1000), 3), round(expanded(0.05, 10), 3), round(expanded(0.05, 4), 3)
    (0.05, 0.027, 0.003)

    Args:
        tail: at most a half.
        conversations: that are drawn from, two or more.
    """
    from scipy.stats import t

    wider = math.sqrt(conversations / (conversations - 1))
    return float(_normal().cdf(wider * t.ppf(tail, conversations - 1)))


def _shrunk(share: float, conversations: int) -> float:
    """The opposite of `expanded`: from the share of draws to the tail."""
    from scipy.stats import t

    wider = math.sqrt(conversations / (conversations - 1))
    return float(t.cdf(_normal().ppf(share) / wider, conversations - 1))


def _normal() -> Any:
    from scipy.stats import norm

    return norm


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Exact McNemar test (two-sided p) of two systems' right and wrong answers, by utterance.

    It takes utterances as independent, which those of one conversation are not quite.

    >>> mcnemar([True] * 6, [False] * 6)  # 2 · (1/2)⁶
    0.03125

    Raises:
        InputError: not the same utterances.
    """
    from scipy.stats import binomtest

    if len(first) != len(second):
        raise InputError(f"cannot compare {len(first)} utterances with {len(second)}")
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def _interval(values: np.ndarray, conversations: int) -> Interval | None:
    """The middle 95 % of a statistic's values, or more of few conversations'; None of none."""
    if not values.size:
        return None
    lowest = expanded((1 - LEVEL) / 2, conversations)
    low, high = np.quantile(values, [lowest, 1 - lowest])
    return Interval(float(low), float(high))


def _resample(counts: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Sums over drawn conversations: [resamples, ...]."""
    size = len(counts)
    times = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), resamples)
    return np.tensordot(times, counts, axes=1)
