"""Whether a model is worse than production: told, or not to be told."""

import pytest

from components.config import GateSettings
from components.evaluate import gate
from tests.components.evaluate.gate_numbers import SETTINGS, compared, deciding, numbers


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
@pytest.mark.parametrize(
    ("difference", "low", "high", "conversations", "result", "reason"),
    [
        (0.10, 0.02, 0.18, 20, "pass", "the difference is above 0.0200"),
        (-0.01, -0.049, 0.03, 20, "pass", "the difference is above −0.0490"),
        # Only what is worse beyond chance fails.
        (-0.10, -0.14, -0.06, 20, "fail",
         "the difference is at best −0.0600 (one-sided 95 % bound), more than 0.0500 less"),
        (-0.06, -0.09, -0.03, 20, "inconclusive", "may be as low as −0.0900"),
        (-0.20, -0.30, -0.10, 3, "inconclusive", "3 conversations are too few to compare them"),
        # The margin lies between the bounds.
        (0.01, -0.08, 0.10, 20, "inconclusive", "may be as low as −0.0800"),
        (0.10, -0.05, 0.25, 20, "inconclusive", "must be above −0.0500: the test set is too small"),
        (-0.10, -0.15, -0.05, 20, "inconclusive", "may be as low as −0.1500"),
        (0.20, 0.10, 0.30, 19, "inconclusive", "19 conversations are too few to compare them"),
        (0.20, None, None, 1, "inconclusive", "1 conversations are too few"),
    ],
)  # fmt: skip
def test_no_regression(
    name: str,
    difference: float,
    low: float | None,
    high: float | None,
    conversations: int,
    result: str,
    reason: str,
) -> None:
    test = compared(difference, low, high, conversations)
    verdict = gate(numbers(**{f"comparison__{name}": test}), deciding(name))
    check = next(c for c in verdict.checks if c.name == f"no_regression.{name}")
    assert (check.result, check.value, check.threshold) == (result, low, -0.05)
    assert reason in check.says
    assert f"production's {numbers()['champion'][name]['rate']:.4f}" in check.says
    assert verdict.decision == result


@pytest.mark.parametrize("name", ["teer", "steer"])
@pytest.mark.parametrize(
    ("difference", "low", "high", "conversations", "result", "reason"),
    [
        (-0.10, -0.18, -0.02, 20, "pass", "the difference is below −0.0200"),
        (0.01, -0.03, 0.049, 20, "pass", "the difference is below 0.0490"),
        (0.10, 0.06, 0.14, 20, "fail",
         "the difference is at best 0.0600 (one-sided 95 % bound), more than 0.0500 more"),
        (0.06, 0.03, 0.09, 20, "inconclusive", "may be as high as 0.0900"),
        (0.20, 0.10, 0.30, 3, "inconclusive", "3 conversations are too few to compare them"),
        (-0.01, -0.10, 0.08, 20, "inconclusive", "may be as high as 0.0800"),
        (-0.10, -0.25, 0.05, 20, "inconclusive", "must be below 0.0500: the test set is too small"),
        (-0.20, None, None, 1, "inconclusive", "1 conversations are too few"),
    ],
)  # fmt: skip
def test_no_regression_of_an_error_rate(
    name: str,
    difference: float,
    low: float | None,
    high: float | None,
    conversations: int,
    result: str,
    reason: str,
) -> None:
    test = compared(difference, low, high, conversations)
    verdict = gate(numbers(**{f"comparison__{name}": test}), deciding(name))
    check = next(c for c in verdict.checks if c.name == f"no_regression.{name}")
    assert (check.result, check.value, check.bound) == (result, high, "below")
    assert check.threshold == 0.05
    assert reason in check.says
    scores = numbers()["champion"]["scores"]["wu2023"]
    assert f"production's {scores[name]['rate']:.4f}" in check.says
    assert verdict.decision == result


def test_one_regression_check_decides_and_the_others_are_reported() -> None:
    worse = {"comparison__macro_f1": compared(-0.20, -0.25, -0.15)}
    verdict = gate(numbers(**worse), SETTINGS)
    reported = {c.name: c for c in verdict.checks if not c.decides}
    assert set(reported) == {"no_regression.macro_f1", "no_regression.teer", "no_regression.steer"}
    assert reported["no_regression.macro_f1"].result == "fail"
    assert (verdict.decision, verdict.reasons) == ("pass", ())
    # The gate says which one; else it is the first.
    verdict = gate(numbers(**worse), deciding("macro_f1"))
    assert verdict.decision == "fail"
    assert next(c for c in verdict.checks if c.decides and "regression" in c.name).name == (
        "no_regression.macro_f1"
    )
    content = gate(numbers(**worse), SETTINGS).to_json()["checks"]
    assert [c["name"] for c in content if c.get("decides") is False] == list(reported)


def test_a_margin_may_depend_on_the_number_of_conversations() -> None:
    settings = GateSettings.model_validate(
        {"min_accuracy": 0.1, "no_regression": {"accuracy": {20: 0.04, 150: 0.02}}}
    )
    for conversations, threshold, result in (
        (20, -0.04, "pass"), (149, -0.04, "pass"), (150, -0.02, "inconclusive"),
    ):  # fmt: skip
        test = compared(0.0, -0.03, 0.03, conversations)
        metrics = numbers(recordings=conversations, comparison__accuracy=test)
        check = gate(metrics, settings).checks[-1]
        assert (check.threshold, check.result) == (threshold, result)


def test_the_very_same_answers_are_no_regression_however_few_they_are() -> None:
    same = compared(0.0, 0.0, 0.0, 2)
    strict = GateSettings(no_regression={"accuracy": 0.0}, min_accuracy=0.1)  # type: ignore[arg-type]
    metrics = numbers(comparison={"accuracy": same, "differing": 0})
    assert gate(metrics, strict).decision == "pass"
    # The same number of right answers, but to other utterances, is another matter.
    metrics = numbers(comparison={"accuracy": same, "differing": 4})
    assert gate(metrics, strict).decision == "inconclusive"
    # Between the scored utterances there may lie turns that were answered differently.
    strict = GateSettings(no_regression={"teer": 0.0}, min_accuracy=0.1)  # type: ignore[arg-type]
    for turns, decision in ((0, "pass"), (1, "inconclusive")):
        comparison = {"teer": same, "differing": 0, "differing_turns": turns}
        assert gate(numbers(comparison=comparison), strict).decision == decision


def test_without_production_nothing_is_compared() -> None:
    names = {c.name for c in gate(numbers(champion=None, comparison=None), SETTINGS).checks}
    assert names == {c.name for c in gate(numbers(), SETTINGS).checks} - {
        "no_regression.accuracy", "no_regression.macro_f1", "no_regression.teer",
        "no_regression.steer", "latency.max_times_production",
    }  # fmt: skip
