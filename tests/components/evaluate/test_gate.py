"""Each check passing and failing, with different numbers on the two sides."""

import json

import pytest

from components.evaluate import Verdict, gate
from components.profile import GateSettings

SETTINGS = GateSettings(min_accuracy=0.5, min_macro_f1=0.4, margin=0.05)


def numbers(accuracy, macro_f1):
    return {"accuracy": {"rate": accuracy}, "macro_f1": {"rate": macro_f1}}


def passed(verdict):
    return {check.name: check.passed for check in verdict.checks}


def test_a_good_model_passes():
    verdict = gate(numbers(0.7, 0.6), numbers(0.65, 0.62), SETTINGS)
    assert verdict.decision == "pass"
    assert verdict.reasons == ()
    assert passed(verdict) == {
        "minimum accuracy": True,
        "minimum macro F1": True,
        "accuracy not worse than production": True,
        "macro F1 not worse than production": True,
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "failing", "reason"),
    [
        (
            numbers(0.49, 0.6),
            numbers(0.50, 0.61),
            "minimum accuracy",
            "accuracy is 0.4900, and must be at least 0.5000",
        ),
        (
            numbers(0.7, 0.39),
            numbers(0.6, 0.40),
            "minimum macro F1",
            "macro F1 is 0.3900, and must be at least 0.4000",
        ),
        (
            numbers(0.70, 0.6),
            numbers(0.76, 0.5),
            "accuracy not worse than production",
            "accuracy is 0.7000, production's 0.7600, and may be at most 0.0500 less",
        ),
        (
            numbers(0.7, 0.50),
            numbers(0.6, 0.56),
            "macro F1 not worse than production",
            "macro F1 is 0.5000, production's 0.5600, and may be at most 0.0500 less",
        ),
    ],
)
def test_one_check_alone_can_fail(ours, theirs, failing, reason):
    verdict = gate(ours, theirs, SETTINGS)
    assert verdict.decision == "fail"
    assert [name for name, fine in passed(verdict).items() if not fine] == [failing]
    assert verdict.reasons == (reason,)


def test_what_just_reaches_it_passes():
    # 0.60 − 0.65 is −0.05000000000000004 to a computer
    assert gate(numbers(0.5, 0.4), numbers(0.55, 0.45), SETTINGS).passed
    assert gate(numbers(0.6, 0.6), numbers(0.65, 0.65), SETTINGS).passed


def test_the_sides_are_not_swapped():
    better, worse = numbers(0.9, 0.9), numbers(0.6, 0.6)
    assert gate(better, worse, SETTINGS).passed
    assert not gate(worse, better, SETTINGS).passed
    value = {c.name: c.value for c in gate(better, worse, SETTINGS).checks}
    assert value["accuracy not worse than production"] == pytest.approx(0.3)


def test_without_production_only_the_levels_count():
    verdict = gate(numbers(0.5, 0.4), None, SETTINGS)
    assert verdict.passed
    assert len(verdict.checks) == 2


def test_a_number_that_is_not_there_does_not_pass():
    assert not gate(numbers(None, 0.6), None, SETTINGS).passed
    verdict = gate(numbers(0.7, 0.6), numbers(0.6, None), SETTINGS)
    assert [name for name, fine in passed(verdict).items() if not fine] == [
        "macro F1 not worse than production"
    ]


def test_json_has_every_number():
    found = json.loads(json.dumps(gate(numbers(0.7, 0.3), numbers(0.6, 0.2), SETTINGS).to_json()))
    assert found["verdict"] == "fail"
    assert found["reasons"] == ["macro F1 is 0.3000, and must be at least 0.4000"]
    assert found["checks"][1] == {
        "name": "minimum macro F1",
        "value": 0.3,
        "threshold": 0.4,
        "passed": False,
        "says": "macro F1 is 0.3000, and must be at least 0.4000",
    }


def test_a_verdict_without_a_check_is_none():
    with pytest.raises(ValueError):
        Verdict(())
