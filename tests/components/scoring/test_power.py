"""The power that is foretold is the share of equal models that pass, found by making them."""

import numpy as np
import pytest

from components.scoring import Power, paired_bootstrap, power
from components.scoring.classification import accuracy, macro_f1, uar

MODELS = 300
DIFFERING = 0.2


def counts(
    dice: np.random.Generator, labels: np.ndarray, owner: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two equally good models' confusions by conversation, [conversations, 4, 5] each.

    Both are right on 60 % of the utterances, one alone on 20 %; wrong answers are any other.
    """
    draw = dice.random(len(labels))
    each = []
    for low in (0.60, 0.70):
        right = (draw < 0.60) | ((draw >= low) & (draw < low + 0.10))
        wrong = (labels + dice.integers(1, 4, len(labels))) % 4
        confusion = np.zeros((owner.max() + 1, 4, 5))
        np.add.at(confusion, (owner, labels, np.where(right, labels, wrong)), 1)
        each.append(confusion)
    return each[0], each[1]


@pytest.mark.parametrize(
    ("rate", "statistic", "shares", "conversations", "margin"),
    [
        ("accuracy", accuracy, (1, 1, 1, 1), 31, 0.01),
        ("accuracy", accuracy, (1, 1, 1, 1), 31, 0.04),
        ("accuracy", accuracy, (1, 1, 1, 1), 8, 0.06),
        ("uar", uar, (1, 1, 4, 2), 31, 0.04),
        ("macro_f1", macro_f1, (1, 1, 4, 2), 31, 0.04),
    ],
)
def test_the_power_is_what_is_seen(rate, statistic, shares, conversations, margin):
    dice = np.random.default_rng(11)
    owner = np.repeat(np.arange(conversations), 40)
    labels = dice.choice(4, len(owner), p=np.array(shares) / sum(shares))
    size = np.bincount(labels)
    weights = 1 / (4 * size[labels]) if rate != "accuracy" else np.full(len(owner), 1 / len(owner))
    passed = 0
    for seed in range(MODELS):
        test = paired_bootstrap(*counts(dice, labels, owner), statistic, seed=seed)
        passed += test.lower_bound > -margin
    foretold = power(rate, weights, conversations, margin, differing=DIFFERING)
    assert foretold.passes == pytest.approx(passed / MODELS, abs=0.09)


def test_it_is_said_in_words():
    said = power("accuracy", [1 / 1240] * 1240, 31, 0.01)
    assert str(said) == (
        "with 31 conversations (1,240 utterances) an equal model passes 19 of 100 times (accuracy"
        " at most 0.01 worse than production's); it takes more test conversations, or a wider"
        " margin"
    )
    assert said.low
    enough = power("accuracy", [1 / 1240] * 1240, 31, 0.04)
    assert not enough.low
    assert str(enough).endswith("passes 92 of 100 times (accuracy at most 0.04 worse than"
                                " production's)")  # fmt: skip


def test_too_few_conversations_pass_nobody():
    said = power("accuracy", [1 / 400] * 400, 10, 0.5, min_conversations=20)
    assert (said.passes, said.low) == (0.0, True)
    assert "the gate asks for 20 conversations" in str(said)
    assert power("accuracy", [1.0], 1, 0.5).passes == 0.0
    assert isinstance(said, Power)
