"""How far two groups of recordings are apart, and how far they would be by chance.

Turns of one recording are alike, so whole recordings are exchanged between the groups, never
single turns (Good, *Permutation Tests*, 2000, on clustered data). Every statistic here is a
function of the two groups' sums of some vector over turns; a recording is summed once, and a
thousand exchanges are one matrix product.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

GRID = 64
"""Quantiles of both groups together at which distribution functions are compared."""

WAVES = 256
"""Random Fourier features that stand for the kernel."""

_AT_ONCE = 250

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Of two groups' sums [..., k], the last entry of which counts turns."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two groups of recordings.

    Attributes:
        value: the statistic.
        expected: its mean when recordings are exchanged at random.
        p_value: the share of exchanges with as large a statistic; never 0.
    """

    value: float
    expected: float
    p_value: float


def compare(
    first: np.ndarray, second: np.ndarray, distance: Distance, *, draws: int, seed: int,
    level: float = 1.0,
) -> Difference:  # fmt: skip
    """Test whether two groups of recordings are of one kind.

    Args:
        first, second: each recording's sums: [recordings, k].
        distance: the statistic.
        draws: random exchanges.
        level: it ends early once the p-value can no longer come under this (Besag & Clifford,
            1991): most features of most windows need few draws.
    """
    sums = np.concatenate([first, second])
    total = sums.sum(axis=0)
    value = float(distance(first.sum(axis=0), second.sum(axis=0)))
    rng = np.random.default_rng(seed)
    larger, whole, done = 1, 0.0, 0
    while done < draws and larger <= level * (draws + 1):
        count = min(_AT_ONCE, draws - done)
        chosen = np.zeros((count, len(sums)))
        order = rng.random((count, len(sums))).argpartition(len(first) - 1, axis=1)
        np.put_along_axis(chosen, order[:, : len(first)], 1.0, axis=1)
        one = chosen @ sums
        drawn = distance(one, total - one)
        # Sums in another order differ in their last digit: equal is equal.
        larger += int((drawn >= value - 1e-9).sum())
        whole += float(drawn.sum())
        done += count
    return Difference(value, whole / done, larger / (done + 1))


def by_recording(recordings: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, k] summed over each recording's turns, with their count: [recordings, k + 1]."""
    _, index = np.unique(recordings.astype(str), return_inverse=True)
    counted = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)
    sums = np.zeros((index.max(initial=-1) + 1, counted.shape[1]))
    np.add.at(sums, index, counted)
    return sums


def population_stability(first: np.ndarray, second: np.ndarray) -> float:
    """Population stability index of two groups' counts by category: Σ (q − p) ln(q / p).

    Half a turn is added to each category, so that an empty one does not make it infinite.
    """
    p, q = (counts + 0.5 for counts in (first, second))
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def largest_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The largest difference between two groups' means.

    Of `cumulative` it is the Kolmogorov–Smirnov statistic at the grid's points. Of probabilities
    it is the largest change of an emotion's share: it sees one emotion grow better than PSI, which
    averages over all of them, and mean probabilities vary less between recordings than counts of
    answers, where a tiny change flips a whole count.
    """
    return np.abs(_mean_difference(first, second)).max(-1)


def squared_mmd(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Squared maximum mean discrepancy (Gretton et al., 2012, eq. 5), of Fourier features."""
    return np.square(_mean_difference(first, second)).sum(-1)


def _mean_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[..., :-1] / first[..., -1:] - second[..., :-1] / second[..., -1:]


def cumulative(values: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Whether each value is at most each quantile of `both`: [n, GRID] of 0 and 1."""
    points = np.quantile(both, np.arange(1, GRID + 1) / (GRID + 1))
    return (values[:, None] <= points).astype(float)


def fourier_features(vectors: np.ndarray, both: np.ndarray, *, seed: int) -> np.ndarray:
    """Random Fourier features of a Gaussian kernel (Rahimi & Recht, 2007): [n, 2 · WAVES].

    Dimensions are scaled by their spread in `both`; the kernel's width is the median distance
    there (Gretton et al., 2012).
    """
    rng = np.random.default_rng(seed)
    scale = np.maximum(both.std(axis=0), 1e-6 * np.abs(both).max(initial=1e-6))
    some = both[rng.permutation(len(both))[:500]] / scale
    squares = np.square(some).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * some @ some.T, 0)
    width = np.sqrt(np.median(distances[np.triu_indices(len(some), 1)])) or 1.0
    phases = (vectors / scale) @ rng.normal(size=(vectors.shape[1], WAVES)) / width
    return np.concatenate([np.cos(phases), np.sin(phases)], axis=1) / np.sqrt(WAVES)


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """p-values adjusted for there being several: the chance of any false alarm is held (Holm, 1979,
    section 4: with weights, hypotheses get unequal shares of that chance).

    Args:
        weights: positive; None: all alike.
    """
    p = np.asarray(p_values, float)
    weight = np.ones(len(p)) if weights is None else np.asarray(weights, float)
    order = np.argsort(p / weight, kind="stable")
    remaining = weight[order][::-1].cumsum()[::-1]
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(np.minimum(1, remaining * p[order] / weight[order]))
    return adjusted.tolist()
