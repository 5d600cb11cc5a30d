"""Accuracy, recalls, F1, calibration: by hand and against scikit-learn."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from components.base import InputError
from components.conversation import DEFAULT_LABELS
from components.scoring import Calibration, Classification, Share, calibration, classification


def test_by_hand():
    # reference   angry angry happy sad  sad   sad
    # answers     angry happy happy sad  none  angry
    counted = classification(
        ["angry", "angry", "happy", "sad", "sad", "sad"],
        ["angry", "happy", "happy", "sad", None, "angry"],
    )
    assert counted.confusion == (
        (1, 1, 0, 0, 0),
        (0, 1, 0, 0, 0),
        (0, 0, 0, 0, 0),
        (1, 0, 0, 1, 1),
    )
    assert counted.accuracy == Share(3, 6)
    assert counted.uar == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)
    # F1: angry 2·1/(2+2), happy 2·1/(1+2), sad 2·1/(3+1); no neutral in the reference
    assert counted.macro_f1 == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)
    assert counted.weighted_f1 == pytest.approx((2 * 1 / 2 + 1 * 2 / 3 + 3 * 1 / 2) / 6)
    assert counted.emotions["neutral"] == {
        "correct": 0,
        "reference": 0,
        "answered": 0,
        "recall": None,
        "precision": None,
        "f1": None,
    }
    assert counted.emotions["sad"]["answered"] == 1
    assert counted.to_json()["confusion"]["answers"][-1] == "none"


def test_no_answer_and_a_strange_one_are_both_wrong():
    assert classification(["sad", "sad"], [None, "bored"]).accuracy == Share(0, 2)


def test_counts_add_up():
    one, two = classification(["sad"], ["sad"]), classification(["happy"], ["sad"])
    assert (one + two).accuracy == Share(1, 2)
    assert one + Classification.zero() == one


def test_nothing_has_no_rates():
    counted = classification([], [])
    assert counted == Classification.zero()
    assert (counted.accuracy.rate, counted.uar, counted.macro_f1, counted.weighted_f1) == (
        None,
    ) * 4


@pytest.mark.parametrize(
    ("reference", "answers", "message"),
    [(["sad", "other"], ["sad", "sad"], "“other” is not scored"), (["sad"], [], "1 .* 0 answers")],
)
def test_bad_input(reference, answers, message):
    with pytest.raises(InputError, match=message):
        classification(reference, answers)


@pytest.mark.parametrize("table", [((0,) * 5,) * 3, ((0,) * 4,) * 4, ((0, 0, 0, 0, -1),) * 4])
def test_impossible_matrices_are_refused(table):
    with pytest.raises(ValueError):
        Classification(table)


PAIRS = st.lists(
    st.tuples(st.sampled_from(DEFAULT_LABELS), st.sampled_from([*DEFAULT_LABELS, None])), min_size=1
)


@settings(max_examples=100)
@given(PAIRS)
def test_against_scikit_learn(pairs):
    reference, answers = zip(*pairs, strict=True)
    counted = classification(reference, answers)
    named = [answer or "none" for answer in answers]
    labels = sorted(set(reference))
    assert counted.accuracy.rate == pytest.approx(metrics.accuracy_score(reference, named))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # “none” is in no reference
        assert counted.uar == pytest.approx(metrics.balanced_accuracy_score(reference, named))
    for average, value in (("macro", counted.macro_f1), ("weighted", counted.weighted_f1)):
        expected = metrics.f1_score(
            reference, named, labels=labels, average=average, zero_division=0
        )
        assert value == pytest.approx(expected)
    each = metrics.f1_score(reference, named, labels=labels, average=None, zero_division=0)
    assert [counted.emotions[name]["f1"] for name in labels] == pytest.approx(list(each))


def test_calibration_by_hand():
    # bins      (0.5, 0.6]: 0.55 wrong, 0.6 right      (0.9, 1]: 0.95 right, 1 right
    # |right − confidence|:  |1 − 1.15| + |2 − 1.95| = 0.2 over 4 answers
    counted = calibration([0.55, 0.6, 0.95, 1.0], [False, True, True, True])
    assert counted.count[5] == 2
    assert counted.count[9] == 2
    assert counted.ece == pytest.approx(0.05)
    assert counted.to_json()["total"] == 4


def test_calibration_keeps_the_ends():
    counted = calibration([0.0, 1.0], [False, True])
    assert (counted.count[0], counted.count[9], counted.ece) == (1, 1, 0)
    assert calibration([], []).ece is None


@pytest.mark.parametrize("confidence", [[1.2], [-0.1], [0.5, 0.5]])
def test_calibration_refuses_what_is_no_confidence(confidence):
    with pytest.raises(ValueError):
        calibration(confidence, [True])


def test_calibration_of_a_calibrated_system_is_near_zero():
    random = np.random.default_rng(3)
    sure = random.uniform(0.25, 1, 20_000)
    honest = calibration(sure, random.random(20_000) < sure)
    boastful = calibration(sure, random.random(20_000) < sure / 2)
    assert isinstance(honest, Calibration)
    assert honest.ece < 0.02
    assert boastful.ece > 0.25
