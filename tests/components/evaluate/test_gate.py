"""Every check passing, failing and undecided, with different numbers on the two sides."""

import json
from typing import Any

import pytest

from components.config import GateSettings
from components.evaluate import gate
from components.scoring import Check, Verdict


def part(rate: float, total: int) -> dict[str, Any]:
    return {"accuracy": {"rate": rate, "total": total}}


def numbers(**changes: Any) -> dict[str, Any]:
    """Metrics as `evaluate` gives them, with changes by their path (`__` between the steps)."""
    metrics: dict[str, Any] = {
        "model": "d1",
        "accuracy": {"rate": 0.70},
        "macro_f1": {"rate": 0.60},
        "emotions": {
            "angry": {"f1": 0.8},
            "happy": {"f1": 0.5},
            "neutral": {"f1": 0.6},
            "sad": {"f1": 0.7},
        },
        "scores": {"wu2023": {"teer": {"rate": 0.25}, "steer": {"rate": 0.30}}},
        "calibration": {"ece": 0.10},
        "champion": {
            "accuracy": {"rate": 0.67},
            "macro_f1": {"rate": 0.61},
            "scores": {"wu2023": {"teer": {"rate": 0.24}, "steer": {"rate": 0.33}}},
        },
        "comparison": {
            "accuracy": {"difference": 0.03, "lower_bound": -0.01, "conversations": 12},
            "macro_f1": {"difference": -0.01, "lower_bound": -0.04, "conversations": 12},
            "teer": {"difference": 0.01, "upper_bound": 0.04, "conversations": 12},
            "steer": {"difference": -0.03, "upper_bound": 0.02, "conversations": 12},
            "differing": 9,
            "differing_turns": 11,
        },
        "slices": {
            "sex": {"F": part(0.66, 30), "M": part(0.74, 26)},
            "fold": {"one": part(0.70, 56)},
            "style": {"improvised": part(0.75, 28), "scripted": part(0.65, 28)},
            "length": {"long": part(0.80, 12), "short": part(0.67, 44)},
            "asr_confidence": {"high": part(0.72, 44), "low": part(0.58, 12)},
        },
        "behaviour": {
            name: {"rate": 0.95, "total": 40}
            for name in ("silence", "volume", "case", "punctuation", "filler")
        },
        "served": {
            "megabytes": 80.0,
            "latency": {"turns": 20, "p95_ms": 90.0, "times_production": 1.1},
        },
    }
    for path, value in changes.items():
        *way, last = path.split("__")
        parent = metrics
        for key in way:
            parent = parent[key]
        parent[last] = value
    return metrics


EVERY_CHECK: dict[str, Any] = {
    "min_accuracy": 0.5,
    "min_macro_f1": 0.4,
    "min_f1": 0.45,
    "max_teer": 0.3,
    "max_steer": 0.35,
    "max_ece": 0.15,
    "no_regression": {"accuracy": 0.05, "macro_f1": 0.05, "teer": 0.05, "steer": 0.05},
    "slices": {
        name: {"min_accuracy": 0.55} for name in ("sex", "fold", "style", "length")
    } | {"asr_confidence": {"min_accuracy": 0.5}},
    "behaviour": dict.fromkeys(("silence", "volume", "case", "punctuation", "filler"), 0.9),
    "latency": {"max_p95_ms": 100, "max_times_production": 1.5},
    "max_megabytes": 100,
}  # fmt: skip
SETTINGS = GateSettings.model_validate(EVERY_CHECK)


def not_passing(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.result for check in verdict.checks if check.result != "pass"}


def test_a_good_model_passes_every_check() -> None:
    verdict = gate(numbers(), SETTINGS)
    assert (verdict.decision, verdict.reasons, verdict.model) == ("pass", (), "d1")
    assert [check.name for check in verdict.checks] == [
        "min_accuracy", "min_macro_f1",
        "min_f1.angry", "min_f1.happy", "min_f1.neutral", "min_f1.sad",
        "max_teer", "max_steer", "max_ece",
        "no_regression.accuracy", "no_regression.macro_f1",
        "no_regression.teer", "no_regression.steer",
        "slices.sex.F", "slices.sex.M", "slices.fold.one",
        "slices.style.improvised", "slices.style.scripted",
        "slices.length.long", "slices.length.short",
        "slices.asr_confidence.high", "slices.asr_confidence.low",
        "behaviour.silence", "behaviour.volume", "behaviour.case",
        "behaviour.punctuation", "behaviour.filler",
        "latency.max_p95_ms", "latency.max_times_production", "max_megabytes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "path", "value", "reason"),
    [
        ("min_accuracy", "accuracy__rate", 0.49,
         "accuracy is 0.4900, and must be at least 0.5000"),
        ("min_macro_f1", "macro_f1__rate", 0.39,
         "macro F1 is 0.3900, and must be at least 0.4000"),
        ("min_f1.angry", "emotions__angry__f1", 0.44,
         "F1 of angry is 0.4400, and must be at least 0.4500"),
        ("min_f1.happy", "emotions__happy__f1", 0.40, "F1 of happy is 0.4000"),
        ("min_f1.neutral", "emotions__neutral__f1", 0.1, "F1 of neutral is 0.1000"),
        ("min_f1.sad", "emotions__sad__f1", 0.0, "F1 of sad is 0.0000"),
        ("max_teer", "scores__wu2023__teer__rate", 0.31,
         "TEER (wu2023) is 0.3100, and must be at most 0.3000"),
        ("max_steer", "scores__wu2023__steer__rate", 1.2, "sTEER (wu2023) is 1.2000"),
        ("max_ece", "calibration__ece", 0.16,
         "calibration error is 0.1600, and must be at most 0.1500"),
        ("slices.sex.F", "slices__sex__F", part(0.54, 30),
         "accuracy of 30 utterances where sex is F is 0.5400, and must be at least 0.5500"),
        ("slices.sex.M", "slices__sex__M", part(0.50, 26), "where sex is M is 0.5000"),
        ("slices.fold.one", "slices__fold__one", part(0.5, 56), "where fold is one is 0.5000"),
        ("slices.style.improvised", "slices__style__improvised", part(0.5, 28), "improvised"),
        ("slices.style.scripted", "slices__style__scripted", part(0.5, 28), "scripted"),
        ("slices.length.long", "slices__length__long", part(0.5, 12), "length is long"),
        ("slices.length.short", "slices__length__short", part(0.5, 44), "length is short"),
        ("slices.asr_confidence.low", "slices__asr_confidence__low", part(0.42, 12),
         "accuracy of 12 utterances where asr confidence is low is 0.4200"),
        ("slices.asr_confidence.high", "slices__asr_confidence__high", part(0.4, 44), "high"),
        ("behaviour.silence", "behaviour__silence__rate", 0.85,
         "share of 40 turns whose answer holds when silence is added is 0.8500,"
         " and must be at least 0.9000"),
        ("behaviour.volume", "behaviour__volume__rate", 0.5, "half or twice as loud is 0.5000"),
        ("behaviour.case", "behaviour__case__rate", 0.5, "in capitals or in small letters"),
        ("behaviour.punctuation", "behaviour__punctuation__rate", 0.5, "lose their punctuation"),
        ("behaviour.filler", "behaviour__filler__rate", 0.5, "a filler is added to the words"),
        ("latency.max_p95_ms", "served__latency__p95_ms", 130.0,
         "time of 95 % of 20 turns, in milliseconds, is 130.0000, and must be at most 100.0000"),
        ("latency.max_times_production", "served__latency__times_production", 1.6,
         "time, as a multiple of production's, is 1.6000, and must be at most 1.5000"),
        ("max_megabytes", "served__megabytes", 101.0,
         "size of the served files, in megabytes, is 101.0000, and must be at most 100.0000"),
    ],
)  # fmt: skip
def test_one_check_alone_can_fail(check: str, path: str, value: Any, reason: str) -> None:
    verdict = gate(numbers(**{path: value}), SETTINGS)
    assert verdict.decision == "fail"
    assert not_passing(verdict) == {check: "fail"}
    assert reason in verdict.reasons[0]


@pytest.mark.parametrize(
    ("check", "path", "value", "reason"),
    [
        ("min_macro_f1", "macro_f1__rate", None, "macro F1 is unknown"),
        ("min_f1.sad", "emotions__sad__f1", None, "F1 of sad is unknown"),
        ("max_steer", "scores__wu2023__steer", None, "sTEER (wu2023) is unknown"),
        ("max_ece", "calibration__ece", None, "calibration error is unknown"),
        ("slices.sex.F", "slices__sex__F", part(0.0, 9),
         "accuracy where sex is F is 0.0000 of 9 utterances, too few to tell (fewer than 10)"),
        ("slices.style", "slices__style", {}, "style is not known of any utterance"),
        ("behaviour.case", "behaviour__case__rate", None, "is unknown"),
        ("max_megabytes", "served__megabytes", None, "is unknown"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_neither_passed_nor_failed(
    check: str, path: str, value: Any, reason: str
) -> None:
    verdict = gate(numbers(**{path: value}), SETTINGS)
    assert verdict.decision == "inconclusive"
    assert not verdict.passed
    assert not_passing(verdict) == {check: "inconclusive"}
    assert reason in verdict.reasons[0]


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
@pytest.mark.parametrize(
    ("difference", "bound", "conversations", "result", "reason"),
    [
        (0.10, 0.02, 12, "pass", "the difference is above 0.0200"),
        (-0.01, -0.049, 12, "pass", "the difference is above −0.0490"),
        # A worse model, beyond the margin, fails: whether or not that can be told from chance.
        (-0.06, -0.09, 12, "fail", "which is more than 0.0500 less"),
        (-0.06, -0.30, 3, "fail", "which is more than 0.0500 less"),
        # The margin lies between the bound and the difference.
        (0.01, -0.08, 12, "inconclusive", "may be as low as −0.0800"),
        (0.10, -0.05, 12, "inconclusive", "must be above −0.0500: the test set is too small"),
        (0.20, 0.10, 9, "inconclusive", "9 conversations are too few to compare them"),
        (0.20, None, 1, "inconclusive", "1 conversations are too few"),
    ],
)  # fmt: skip
def test_no_regression(
    name: str,
    difference: float,
    bound: float | None,
    conversations: int,
    result: str,
    reason: str,
) -> None:
    test = {"difference": difference, "lower_bound": bound, "conversations": conversations}
    verdict = gate(numbers(**{f"comparison__{name}": test}), SETTINGS)
    check = next(c for c in verdict.checks if c.name == f"no_regression.{name}")
    assert (check.result, check.value, check.threshold) == (result, bound, -0.05)
    assert reason in check.says
    assert f"production's {numbers()['champion'][name]['rate']:.4f}" in check.says
    assert verdict.decision == result


@pytest.mark.parametrize("name", ["teer", "steer"])
@pytest.mark.parametrize(
    ("difference", "bound", "conversations", "result", "reason"),
    [
        (-0.10, -0.02, 12, "pass", "the difference is below −0.0200"),
        (0.01, 0.049, 12, "pass", "the difference is below 0.0490"),
        (0.06, 0.09, 12, "fail", "which is more than 0.0500 more"),
        (0.06, 0.30, 3, "fail", "which is more than 0.0500 more"),
        (-0.01, 0.08, 12, "inconclusive", "may be as high as 0.0800"),
        (-0.10, 0.05, 12, "inconclusive", "must be below 0.0500: the test set is too small"),
        (-0.20, -0.10, 9, "inconclusive", "9 conversations are too few to compare them"),
        (-0.20, None, 1, "inconclusive", "1 conversations are too few"),
    ],
)  # fmt: skip
def test_no_regression_of_an_error_rate(
    name: str,
    difference: float,
    bound: float | None,
    conversations: int,
    result: str,
    reason: str,
) -> None:
    test = {"difference": difference, "upper_bound": bound, "conversations": conversations}
    verdict = gate(numbers(**{f"comparison__{name}": test}), SETTINGS)
    check = next(c for c in verdict.checks if c.name == f"no_regression.{name}")
    assert (check.result, check.value, check.bound) == (result, bound, "below")
    assert check.threshold == 0.05
    assert reason in check.says
    scores = numbers()["champion"]["scores"]["wu2023"]
    assert f"production's {scores[name]['rate']:.4f}" in check.says
    assert verdict.decision == result


def test_the_very_same_answers_are_no_regression_however_few_they_are() -> None:
    same = {"difference": 0.0, "lower_bound": 0.0, "conversations": 2}
    strict = GateSettings(no_regression={"accuracy": 0.0}, min_accuracy=0.1)  # type: ignore[arg-type]
    metrics = numbers(comparison={"accuracy": same, "differing": 0})
    assert gate(metrics, strict).decision == "pass"
    # The same number of right answers, but to other utterances, is another matter.
    metrics = numbers(comparison={"accuracy": same, "differing": 4})
    assert gate(metrics, strict).decision == "inconclusive"
    # Between the scored utterances there may lie turns that were answered differently.
    strict = GateSettings(no_regression={"teer": 0.0}, min_accuracy=0.1)  # type: ignore[arg-type]
    same = {"difference": 0.0, "upper_bound": 0.0, "conversations": 2}
    for turns, decision in ((0, "pass"), (1, "inconclusive")):
        compared = {"teer": same, "differing": 0, "differing_turns": turns}
        assert gate(numbers(comparison=compared), strict).decision == decision


def test_without_production_nothing_is_compared() -> None:
    names = {c.name for c in gate(numbers(champion=None, comparison=None), SETTINGS).checks}
    assert names == {c.name for c in gate(numbers(), SETTINGS).checks} - {
        "no_regression.accuracy", "no_regression.macro_f1", "no_regression.teer",
        "no_regression.steer", "latency.max_times_production",
    }  # fmt: skip


def test_what_is_not_asked_is_not_checked() -> None:
    verdict = gate(numbers(accuracy__rate=0.0), GateSettings(max_megabytes=100))
    assert [check.name for check in verdict.checks] == ["max_megabytes"]


def test_what_just_reaches_it_passes() -> None:
    exact = {"accuracy__rate": 0.5, "macro_f1__rate": 0.4, "scores__wu2023__teer__rate": 0.3}
    assert gate(numbers(**exact), SETTINGS).passed
    # 0.60 − 0.65 is −0.05000000000000004 to a computer: within the margin, yet not above it
    test = {"difference": 0.60 - 0.65, "lower_bound": 0.60 - 0.65, "conversations": 12}
    assert gate(numbers(comparison__accuracy=test), SETTINGS).decision == "inconclusive"


def test_fail_outweighs_inconclusive() -> None:
    verdict = gate(numbers(calibration__ece=None, served__megabytes=900.0), SETTINGS)
    assert verdict.decision == "fail"
    assert [reason.split(" is ")[0] for reason in verdict.reasons] == [
        "size of the served files, in megabytes,", "calibration error",
    ]  # fmt: skip


def test_json_has_every_number() -> None:
    verdict = json.loads(json.dumps(gate(numbers(macro_f1__rate=0.3), SETTINGS).to_json()))
    assert (verdict["verdict"], verdict["model"]) == ("fail", "d1")
    assert verdict["reasons"] == ["macro F1 is 0.3000, and must be at least 0.4000"]
    assert verdict["checks"][1] == {
        "name": "min_macro_f1",
        "value": 0.3,
        "bound": "at least",
        "threshold": 0.4,
        "result": "fail",
        "says": "macro F1 is 0.3000, and must be at least 0.4000",
    }


def test_a_verdict_without_a_check_is_none() -> None:
    with pytest.raises(ValueError):
        Verdict("d1", ())
    with pytest.raises(ValueError, match="is no result"):
        Check("x", 1.0, "at least", 0.5, "maybe", "")  # type: ignore[arg-type]
