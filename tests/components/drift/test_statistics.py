"""The statistics against scipy and by hand; what exchanging recordings holds."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ks_2samp, permutation_test

from components.drift.statistics import (
    by_recording,
    compare,
    cumulative,
    fourier_features,
    holm,
    largest_difference,
    population_stability,
    squared_mmd,
)


def test_psi_by_hand() -> None:
    first = np.array([24.5, 24.5, 24.5, 24.5])  # 25 each, the half turn added
    second = np.array([9.5, 19.5, 29.5, 39.5])
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    expected = ((shares - 0.25) * np.log(shares / 0.25)).sum()
    assert population_stability(first, second) == pytest.approx(expected)
    assert population_stability(first, first) == 0
    assert np.isfinite(population_stability(np.array([5, 0]), np.array([0, 5])))


def test_the_largest_change_of_a_share_by_hand() -> None:
    first, second = np.array([5, 3, 2, 10.0]), np.array([10, 2, 8, 20.0])
    assert largest_difference(first, second) == pytest.approx(0.2)
    assert largest_difference(first, first) == 0


def test_ks_is_scipys_at_the_grid() -> None:
    """Never more than scipy's, and no less but for what lies between two grid points."""
    rng = np.random.default_rng(1)
    for shift in (0.0, 0.3, 1.0):
        a, b = rng.normal(size=300), rng.normal(shift, size=400)
        both = np.concatenate([a, b])
        sums = [by_recording(np.arange(len(v)), cumulative(v, both)).sum(0) for v in (a, b)]
        ours, theirs = float(largest_difference(*sums)), ks_2samp(a, b).statistic
        assert theirs - 0.05 <= ours <= theirs + 1e-12


def test_mmd_is_the_kernels() -> None:
    """Random fourier_features stand for the Gaussian kernel: MMD² as its definition has it."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(120, 5)), rng.normal(0.7, size=(90, 5))
    both = np.concatenate([a, b])
    scaled = both / both.std(axis=0)
    distances = np.sqrt(np.square(scaled[:, None] - scaled).sum(-1))
    width = np.median(distances[np.triu_indices(len(both), 1)])
    kernel = np.exp(-np.square(distances / width) / 2)
    n = len(a)
    exact = kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
    sums = [
        by_recording(np.arange(len(v)), fourier_features(v, both, seed=3)).sum(0) for v in (a, b)
    ]
    assert float(squared_mmd(*sums)) == pytest.approx(exact, rel=0.15)


def test_the_p_value_is_scipys_permutation_test() -> None:
    """With one turn a recording, exchanging recordings is the textbook's permutation test."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=25), rng.normal(0.6, size=30)

    def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.abs(first[..., 0] / first[..., 1] - second[..., 0] / second[..., 1])

    groups = [by_recording(np.arange(len(v)), v[:, None]) for v in (a, b)]
    difference = compare(*groups, distance, draws=4000, seed=0)
    theirs = permutation_test(
        (a, b), lambda x, y: abs(x.mean() - y.mean()), n_resamples=4000,
        alternative="greater", rng=np.random.default_rng(0),
    )  # fmt: skip
    assert difference.value == pytest.approx(theirs.statistic)
    assert difference.p_value == pytest.approx(theirs.pvalue, abs=0.015)
    assert difference.expected == pytest.approx(theirs.null_distribution.mean(), rel=0.1)


def test_turns_of_a_recording_are_alike_and_prove_little() -> None:
    """Without a difference, p is at most 5 % in about 5 of 100; taking turns as independent, in
    most."""
    rng = np.random.default_rng(5)
    ours = naive = 0
    for seed in range(200):
        rows = [(r, own + 0.3 * x) for r in range(24)
                for own in [rng.normal()] for x in rng.normal(size=12)]  # fmt: skip
        names, values = np.array([r for r, _ in rows]), np.array([v for _, v in rows])
        side = names < 8
        vectors = cumulative(values, values)
        groups = [by_recording(names[s], vectors[s]) for s in (side, ~side)]
        difference = compare(*groups, largest_difference, draws=199, seed=seed)
        ours += difference.p_value <= 0.05
        naive += ks_2samp(values[side], values[~side]).pvalue <= 0.05
    assert 1 <= ours <= 22  # 5 in 100, give or take four standard deviations
    assert naive > 100


def test_sums_by_recording() -> None:
    names = np.array(["b", "a", "b"])
    sums = by_recording(names, np.eye(2)[[0, 1, 1]])
    assert sums.tolist() == [[0, 1, 1], [1, 1, 2]]


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    # The first has three quarters of the chance: 0.02 · 4/3, then 0.02 · 1/1.
    assert holm([0.02, 0.02], [3, 1]) == pytest.approx([0.08 / 3, 0.08 / 3])
    assert holm([0.5, 0.001, 0.02], [2, 1, 1]) == pytest.approx([0.5, 0.004, 0.06])
    p = [0.001, 0.2, 0.012, 0.03]  # never less strict than controlling the share of false ones
    assert all(np.array(holm(p)) >= false_discovery_control(p) - 1e-12)
