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
    # two bins of five: 0.5 … 0.54, two of them right; 0.9 … 0.94, all right
    # |right − confidence|:  |2 − 2.6| + |5 − 4.6| = 1.0 over 10 answers
    sure = [0.54, 0.94, 0.5, 0.9, 0.52, 0.92, 0.51, 0.91, 0.53, 0.93]
    counted = calibration(sure, [s > 0.8 or s < 0.515 for s in sure])
    assert (counted.low, counted.high) == ((0.5, 0.9), (0.54, 0.94))
    assert (counted.count, counted.correct) == ((5, 5), (2, 5))
    assert counted.ece == pytest.approx(0.1)
    assert counted.to_json()["total"] == 10


def test_calibration_has_ten_bins_of_equal_count_whatever_the_confidences():
    sure = np.random.default_rng(5).beta(20, 1, 200)  # most are nearly certain
    assert calibration(sure, sure > 0).count == (20,) * 10


def test_equal_confidences_share_a_bin_in_whatever_order_they_come():
    sure, right = [0.7] * 60 + [0.9] * 40, [True, False] * 50
    counted = calibration(sure, right)
    assert counted.count == (60, 40)
    assert calibration(sure[::-1], right).ece == pytest.approx(counted.ece)


def test_calibration_keeps_the_ends():
    counted = calibration([0.0] * 5 + [1.0] * 5, [False] * 5 + [True] * 5)
    assert (counted.low, counted.high, counted.ece) == ((0, 1), (0, 1), 0)
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
