"""What the gate is asked, what it can tell, and what no gate sees."""

import html
import shutil
from dataclasses import replace

import pytest

from components.base import InputError
from components.config import GateSettings, ProtocolSettings
from components.evaluate import (
    evaluate,
    gate_power,
    held_out_recordings,
)
from components.scoring import read_verdict


def test_a_worse_model_does_not_pass(model, recordings, turns, profile):
    # None of seven right: a model that is right three times in ten may be so; one in two is not.
    gate = profile.gate.model_copy(update={"min_accuracy": 0.5})
    strict = profile.model_copy(update={"gate": gate})
    evaluation = evaluate(model("happy"), recordings, turns, strict, champion=model("sad"))
    assert evaluation.verdict.decision == "fail"
    assert [check.result for check in evaluation.verdict.checks] == ["fail"] * 5
    assert evaluation.metrics["accuracy"]["correct"] == 0
    assert "accuracy is 0.0000, and must be at least 0.5000" in evaluation.verdict.reasons


def test_production_is_not_the_model_itself(model, recordings, turns, profile):
    """The same two models, in both roles: one is better, and only one passes."""
    rates, errors = [], []
    for challenger, champion in (("sad", "happy"), ("happy", "sad"), ("sad", "sad")):
        evaluation = evaluate(
            model(challenger), recordings, turns, profile, champion=model(champion)
        )
        checks = {c.name: c for c in evaluation.verdict.checks}
        rates.append(checks["no_regression.accuracy"])
        errors.append(checks["no_regression.teer"])
    for better, worse, same in (rates, errors):
        assert (better.result, worse.result, same.result) == ("pass", "fail", "pass")
        assert (same.value, "as production answers it" in same.says) == (0, True)
    assert rates[0].value > 0 > rates[1].value
    assert errors[0].value < 0 < errors[1].value


def test_the_gate_is_asked_all_that_it_can_be_asked(model, recordings, turns, profile, tmp_path):
    """Slices, behaviour, latency and size, measured on a real model and its graph."""
    from components.fusion.export import export_onnx
    from components.fusion.model import load_model

    folder = shutil.copytree(model(None), tmp_path / "model")
    export_onnx(load_model(folder), folder / "model.onnx")
    asked = profile.gate.model_dump() | {
        "min_f1": 0.0,
        "max_teer": 5.0,
        "slices": {"sex": {"min_accuracy": 0.0, "min_utterances": 3}},
        "behaviour": {"silence": 0.0, "case": 0.0, "filler": 0.0},
        "latency": {"max_p95_ms": 1e6, "max_times_production": 1e3},
        "max_megabytes": 0.001,
    }
    asking = profile.model_validate(profile.model_dump() | {"gate": asked})
    evaluation = evaluate(folder, recordings, turns, asking, champion=model("sad"))
    results = {check.name: check for check in evaluation.verdict.checks}
    measured = evaluation.metrics["behaviour"]
    assert {part["total"] for part in measured.values()} == {7}
    for name, part in measured.items():
        check = results[f"behaviour.{name}"]
        assert (check.value, check.result) == (part["kept"] / 7, "pass")
    assert evaluation.metrics["served"]["latency"]["turns"] == 7
    assert evaluation.metrics["served"]["latency"]["times_production"] > 0
    served = sum((folder / name).stat().st_size for name in ("model.onnx", "tokenizer.json"))
    assert results["max_megabytes"].value == served / 1e6
    assert results["max_megabytes"].result == "fail"
    assert {"slices.sex.F", "slices.sex.M", "min_f1.sad", "max_teer"} < set(results)
    page = evaluation.report()
    assert "behaviour.case" in page
    assert "Refused." in page


def test_without_production_nothing_is_compared(model, recordings, turns, profile):
    evaluation = evaluate(model("sad"), recordings, turns, profile)
    assert evaluation.metrics["champion"] is None
    assert evaluation.metrics["comparison"] is None
    assert [check.name for check in evaluation.verdict.checks] == ["min_accuracy", "min_macro_f1"]
    assert "nothing in production yet" in evaluation.report()


def test_the_power_is_told_before_and_kept(evaluation, recordings, profile, tmp_path):
    tested = held_out_recordings(recordings, profile)
    expected = gate_power(tested, profile.gate)
    assert (expected.conversations, expected.utterances, expected.rate) == (2, 7, "accuracy")
    assert evaluation.verdict.power == expected
    assert str(expected) in html.unescape(evaluation.report())
    assert "Little power." in evaluation.report()
    evaluation.write(tmp_path)
    assert read_verdict(tmp_path / "verdict.json").power == expected
    by = {
        name: gate_power(tested, GateSettings(min_accuracy=0.1, no_regression={name: 0.1})).passes
        for name in ("accuracy", "uar", "teer")
    }
    assert by == dict.fromkeys(by, 0.0), "20 conversations are asked for"
    # Where an emotion is rare, its utterances move a mean over emotions most.
    powers = {
        name: gate_power(
            tested,
            GateSettings(min_accuracy=0.1, no_regression={name: 0.3, "min_conversations": 2}),
        ).passes
        for name in ("accuracy", "uar", "teer")
    }
    assert powers["uar"] < powers["accuracy"] == pytest.approx(powers["teer"])
    assert gate_power(tested, GateSettings(min_accuracy=0.1)) is None


def test_the_holdout_is_seen_by_no_gate(model, recordings, turns, profile, tmp_path):
    protocol = ProtocolSettings(test_fold="two", validation_fold="one", holdout_fold="three")
    held = profile.model_copy(update={"protocol": protocol})
    later = [replace(r, fold="three") if r.name == "loud" else r for r in recordings]
    tested = evaluate(model("sad"), later, turns, held)
    assert (tested.metrics["recordings"], tested.metrics["part"]) == (1, "test")
    kept = evaluate(model("sad"), later, turns, held, part="holdout", champion=model("angry"))
    assert (kept.metrics["utterances"], kept.metrics["test_fold"]) == (3, "three")
    assert kept.metrics["comparison"]["accuracy"]["difference"] == 0
    assert kept.verdict is None
    kept.write(tmp_path / "out")
    assert not (tmp_path / "out" / "verdict.json").exists()
    assert "no gate reads it" in kept.report()
    with pytest.raises(InputError, match="sets no holdout aside"):
        evaluate(model("sad"), later, turns, profile, part="holdout")
