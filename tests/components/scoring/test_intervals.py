"""Bootstrap intervals by conversation and paired tests."""

import numpy as np
import pytest
from scipy import stats

from components.base import InputError
from components.scoring import Interval, bootstrap, mcnemar, paired_bootstrap, wilson


def share(counts):
    """Right answers [..., 0] of all [..., 1]."""
    return counts[..., 0] / counts[..., 1]


def test_the_interval_is_scipys():
    random = np.random.default_rng(5)
    total = random.integers(5, 40, 30)
    counts = np.stack([random.binomial(total, 0.6), total], axis=1)

    def statistic(index, axis=-1):
        return share(counts[index].sum(axis=-2))

    expected = stats.bootstrap(
        (np.arange(30),), statistic, vectorized=True, method="percentile", n_resamples=9999, rng=1
    ).confidence_interval
    result = bootstrap(counts, share, seed=1, resamples=9999)
    assert result.low == pytest.approx(expected.low, abs=0.01)
    assert result.high == pytest.approx(expected.high, abs=0.01)
    assert result.low < share(counts.sum(0)) < result.high


def test_the_interval_covers_the_truth_about_95_times_in_100():
    random = np.random.default_rng(7)
    total = np.full(40, 20)
    hits = 0
    for seed in range(200):
        counts = np.stack([random.binomial(total, 0.7), total], axis=1)
        result = bootstrap(counts, share, seed=seed, resamples=400)
        hits += result.low <= 0.7 <= result.high
    assert 180 <= hits <= 199


def test_conversations_are_drawn_not_utterances():
    # Two kinds of conversation, all right or all wrong: 200 utterances tell no more than 4 do.
    alike = np.array([[50, 50], [50, 50], [0, 50], [0, 50]])
    mixed = np.array([[25, 50]] * 4)
    assert bootstrap(alike, share, seed=0) == Interval(0.0, 1.0)
    assert bootstrap(mixed, share, seed=0) == Interval(0.5, 0.5)


def test_the_same_seed_gives_the_same_interval():
    counts = np.array([[3, 5], [1, 4], [6, 9]])
    assert bootstrap(counts, share, seed=3) == bootstrap(counts, share, seed=3)


def test_one_conversation_has_no_interval():
    assert bootstrap(np.array([[3, 5]]), share, seed=0) is None
    result = paired_bootstrap(np.array([[3, 5]]), np.array([[1, 5]]), share, seed=0)
    assert result.difference == pytest.approx(0.4)
    assert (result.interval, result.p_value) == (None, None)
    assert (result.lower_bound, result.upper_bound) == (None, None)


def test_draws_with_nothing_to_divide_by_are_left_out():
    def quotient(counts):
        with np.errstate(invalid="ignore"):
            return share(counts)

    assert bootstrap(np.array([[0, 0], [4, 4]]), quotient, seed=0) == Interval(1.0, 1.0)
    assert bootstrap(np.array([[0, 0], [0, 0]]), quotient, seed=0) is None


def test_a_small_but_steady_difference_is_found_only_by_pairing():
    # Conversations differ wildly; the first system is a little better in each.
    base = np.arange(0, 80, 4)
    total = np.full(20, 100)
    first, second = (np.stack([base + more, total], axis=1) for more in (3, 0))
    result = paired_bootstrap(first, second, share, seed=0)
    assert result.difference == pytest.approx(0.03)
    assert (result.interval.low, result.interval.high) == pytest.approx((0.03, 0.03))
    assert result.lower_bound == pytest.approx(0.03)
    assert result.p_value < 0.01
    alone = [bootstrap(counts, share, seed=0) for counts in (first, second)]
    assert alone[0].low < alone[1].high


def test_no_difference_is_not_found():
    random = np.random.default_rng(2)
    total = np.full(30, 20)
    first, second = (np.stack([random.binomial(total, 0.6), total], axis=1) for _ in range(2))
    result = paired_bootstrap(first, second, share, seed=0)
    assert result.interval.low < 0 < result.interval.high
    assert result.interval.low < result.lower_bound < 0 < result.upper_bound < result.interval.high
    assert result.p_value > 0.05
    assert result.to_json()["conversations"] == 30
    assert paired_bootstrap(first, first, share, seed=0).p_value == 1


def test_systems_must_have_answered_the_same():
    with pytest.raises(InputError, match="2 conversations with 1"):
        paired_bootstrap(np.ones((2, 2)), np.ones((1, 2)), share, seed=0)
    with pytest.raises(InputError, match="1 utterances with 2"):
        mcnemar([True], [True, False])


def test_mcnemar_by_hand():
    # 5 only the first got right, 0 only the second: 2 · ½⁵
    assert mcnemar([True] * 5 + [True], [False] * 5 + [True]) == pytest.approx(2 / 32)
    assert mcnemar([True, False], [True, False]) == 1


def test_an_interval_runs_forwards():
    with pytest.raises(ValueError):
        Interval(1, 0)


@pytest.mark.parametrize(("right", "total"), [(0, 7), (8, 10), (39, 56), (56, 56), (868, 1240)])
def test_wilson_is_scipys(right, total):
    expected = stats.binomtest(right, total).proportion_ci(method="wilson")
    found = wilson(right / total, total)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("conversations", "most"), [(4, 0.09), (10, 0.065)])
def test_a_bound_of_few_conversations_is_seldom_wrong(conversations, most):
    """Plain percentiles are wrong 12 times in 100 with four conversations, 7 with ten."""
    random = np.random.default_rng(3)
    total = np.full(conversations, 40)
    wrong = 0
    for seed in range(400):
        first, second = (
            np.stack([random.binomial(total, random.normal(0.7, 0.03, conversations)), total], 1)
            for _ in range(2)
        )
        result = paired_bootstrap(first, second, share, seed=seed)
        wrong += (result.lower_bound > 0) + (result.upper_bound < 0)
    assert wrong / 800 <= most


def test_a_p_value_fits_its_interval():
    """Four conversations, each a little better, cannot be as sure as forty."""
    for conversations, significant in ((4, False), (40, True)):
        total = np.full(conversations, 100)
        base = 60 + np.arange(conversations) % 5
        more = 3 + np.arange(conversations) % 3
        first, second = (np.stack([base + m, total], axis=1) for m in (more, 0))
        result = paired_bootstrap(first, second, share, seed=0)
        assert (result.p_value < 0.05) is significant
