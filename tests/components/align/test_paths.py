"""The best path and the probabilities, against every path there is."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.align.paths import best_path, state_probabilities

WHOLE = st.integers(-3, 3).map(float)


@st.composite
def chains(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Evidence and costs so small, and so even, that paths tie."""
    steps, states = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    evidence = draw(st.lists(WHOLE, min_size=steps * states, max_size=steps * states))
    costs = draw(st.lists(st.integers(0, 3).map(float), min_size=steps, max_size=steps))
    return np.array(evidence).reshape(steps, states), np.array(costs)


def score(evidence: np.ndarray, change: np.ndarray, path: tuple[int, ...]) -> float:
    changes = zip(pairwise(path), change[1:], strict=True)
    paid = sum(cost for (before, now), cost in changes if before != now)
    return float(evidence[np.arange(len(path)), list(path)].sum() - paid)


@given(chains())
def test_no_path_is_better(chain: tuple[np.ndarray, np.ndarray]) -> None:
    evidence, change = chain
    steps, states = evidence.shape
    best = max(score(evidence, change, p) for p in product(range(states), repeat=steps))
    assert score(evidence, change, tuple(best_path(evidence, change))) == pytest.approx(best)


@given(chains())
def test_probabilities_are_those_of_all_paths(chain: tuple[np.ndarray, np.ndarray]) -> None:
    evidence, change = chain
    steps, states = evidence.shape
    expected = np.zeros((steps, states))
    for path in product(range(states), repeat=steps):
        weight = np.exp(evidence[np.arange(steps), list(path)].sum())
        for (before, now), cost in zip(pairwise(path), change[1:], strict=True):
            weight *= (before == now) + np.exp(-cost)
        expected[np.arange(steps), list(path)] += weight
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(state_probabilities(evidence, change), expected, atol=1e-9)


def test_a_long_stream_is_the_path_of_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    evidence, change = random.normal(size=(2_000, 4)), 2 * random.random(2_000)
    scores, origins = evidence[0], []
    for step in range(1, len(evidence)):
        changed = scores.max() - change[step]
        origins.append(np.where(scores >= changed, np.arange(4), scores.argmax()))
        scores = np.maximum(scores, changed) + evidence[step]
    path = [int(scores.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    assert best_path(evidence, change).tolist() == path[::-1]


def test_a_thousand_sure_words_do_not_underflow() -> None:
    evidence = np.tile([0.0, -700.0], (5_000, 1))
    probabilities = state_probabilities(evidence, np.full(5_000, 3.0))
    np.testing.assert_allclose(probabilities[:, 0], 1.0)
