"""Every check passing, failing and undecided, with different numbers on the two sides."""

import json
from typing import Any

import pytest

from components.config import GateSettings
from components.evaluate import gate
from components.scoring import Check, Verdict
from tests.components.evaluate.gate_numbers import (
    SETTINGS,
    compared,
    f1,
    not_passing,
    numbers,
    part,
    share,
)


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
        "slices.columns.customer.acme", "slices.columns.customer.zenith",
        "behaviour.silence", "behaviour.volume", "behaviour.case",
        "behaviour.punctuation", "behaviour.filler",
        "latency.max_p95_ms", "latency.max_times_production", "max_megabytes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "path", "value", "reason"),
    [
        ("min_accuracy", "accuracy", {"rate": 0.46, "total": 800},
         "accuracy is 0.4600, and must be at least 0.5000"),
        ("min_macro_f1", "macro_f1", share(0.34),
         "macro F1 is 0.3400, and must be at least 0.4000"),
        ("min_f1.angry", "emotions__angry", f1(0.37),
         "F1 of angry is 0.3700, and must be at least 0.4500"),
        ("min_f1.happy", "emotions__happy", f1(0.30), "F1 of happy is 0.3000"),
        ("min_f1.neutral", "emotions__neutral", f1(0.1), "F1 of neutral is 0.1000"),
        ("min_f1.sad", "emotions__sad", f1(0.0, 10), "F1 of sad is 0.0000"),
        ("max_teer", "scores__wu2023__teer", share(0.36),
         "TEER (wu2023) is 0.3600, and must be at most 0.3000"),
        ("max_steer", "scores__wu2023__steer", share(1.2), "sTEER (wu2023) is 1.2000"),
        ("max_ece", "calibration", {"ece": 0.22, "least_ece": 0.16},
         "calibration error is 0.2200, and must be at most 0.1500"),
        ("slices.sex.F", "slices__sex__F", part(0.49, 300),
         "accuracy of 300 utterances where sex is F is 0.4900, and must be at least 0.5500"),
        ("slices.sex.M", "slices__sex__M", part(0.48, 260), "where sex is M is 0.4800"),
        ("slices.fold.one", "slices__fold__one", part(0.5, 560), "where fold is one is 0.5000"),
        ("slices.style.improvised", "slices__style__improvised", part(0.4, 280), "improvised"),
        ("slices.style.scripted", "slices__style__scripted", part(0.4, 280), "scripted"),
        ("slices.length.long", "slices__length__long", part(0.4, 120), "length is long"),
        ("slices.length.short", "slices__length__short", part(0.5, 440), "length is short"),
        ("slices.asr_confidence.low", "slices__asr_confidence__low", part(0.4, 120),
         "accuracy of 120 utterances where asr confidence is low is 0.4000"),
        ("slices.asr_confidence.high", "slices__asr_confidence__high", part(0.4, 440), "high"),
        ("slices.columns.customer.acme", "slices__columns.customer__acme", part(0.5, 300),
         "accuracy of 300 utterances where customer is acme is 0.5000"),
        ("behaviour.silence", "behaviour__silence__rate", 0.83,
         "share of 200 turns whose answer holds when silence is added is 0.8300,"
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
        ("max_ece", "calibration", {"ece": None, "least_ece": None},
         "calibration error is unknown"),
        ("slices.sex.F", "slices__sex__F", part(0.0, 49),
         "accuracy where sex is F is 0.0000 of 49 utterances, too few to tell (fewer than 50)"),
        ("slices.style", "slices__style", {}, "style is not known of any utterance"),
        # The threshold lies between the number and the better end of its interval: below the
        # threshold, and yet a model that reaches it would be seen so now and then.
        ("min_accuracy", "accuracy", {"rate": 0.49, "total": 800},
         "accuracy is 0.4900, and must be at least 0.5000; it may be 0.5246 (95 % interval):"
         " the test set is too small to tell"),
        ("min_macro_f1", "macro_f1", share(0.36), "it may be 0.4100"),
        ("min_macro_f1", "macro_f1", {"rate": 0.36, "interval": None}, "nobody can say"),
        ("min_f1.angry", "emotions__angry", f1(0.40), "it may be 0.4692"),
        ("max_teer", "scores__wu2023__teer", share(0.34), "it may be 0.2900"),
        ("max_ece", "calibration", {"ece": 0.16, "least_ece": 0.12}, "it may be 0.1200"),
        ("slices.sex.F", "slices__sex__F", part(0.54, 300), "it may be 0.5955"),
        ("slices.columns.customer.zenith", "slices__columns.customer__zenith", part(0.55, 60),
         "accuracy of 60 utterances where customer is zenith is 0.5500"),
        ("behaviour.silence", "behaviour__silence__rate", 0.87, "it may be 0.9097"),
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


def test_what_is_not_asked_is_not_checked() -> None:
    verdict = gate(numbers(accuracy__rate=0.0), GateSettings(max_megabytes=100))
    assert [check.name for check in verdict.checks] == ["max_megabytes"]


def test_what_just_reaches_it_passes() -> None:
    exact = {"accuracy__rate": 0.5, "macro_f1__rate": 0.4, "scores__wu2023__teer__rate": 0.3}
    assert gate(numbers(**exact), SETTINGS).passed
    # 0.60 − 0.65 is −0.05000000000000004 to a computer: within the margin, yet not above it
    test = compared(0.60 - 0.65, 0.60 - 0.65, 0.0)
    assert gate(numbers(comparison__accuracy=test), SETTINGS).decision == "inconclusive"


def test_fail_outweighs_inconclusive() -> None:
    verdict = gate(
        numbers(calibration={"ece": None, "least_ece": None}, served__megabytes=900.0), SETTINGS
    )
    assert verdict.decision == "fail"
    assert [reason.split(" is ")[0] for reason in verdict.reasons] == [
        "size of the served files, in megabytes,", "calibration error",
    ]  # fmt: skip


def test_json_has_every_number() -> None:
    verdict = json.loads(json.dumps(gate(numbers(macro_f1=share(0.3)), SETTINGS).to_json()))
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
