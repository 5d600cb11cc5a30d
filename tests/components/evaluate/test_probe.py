"""The model beside its linear probe, on the same utterances, and what the gate makes of that."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.config import GateSettings, Profile, Settings, TrainStep
from components.conversation import DEFAULT_LABELS, Recording, Turn
from components.evaluate import evaluate, gate
from components.fusion.probe import PROBE, Probe
from tests.components.evaluate.gate_numbers import compared, numbers

Make = Callable[[str | None], Path]
FEATURES = 2 * 2 * 16 + 16
"""Mean and deviation of a layer's input and output, and the text's mean, 16 wide each."""


def with_probe(folder: Path, copy: Path, emotion: str, pretrained: bool = False) -> Path:
    """A copy of a version with a probe that always answers one emotion."""
    shutil.copytree(folder, copy)
    zeros, ones = np.zeros(FEATURES, "f4"), np.ones(FEATURES, "f4")
    bias = 3 * np.eye(4, dtype="f4")[DEFAULT_LABELS.index(emotion)]
    weight = np.zeros((4, FEATURES), "f4")
    Probe(zeros, ones, weight, bias, DEFAULT_LABELS, pretrained).save(copy / PROBE)
    return copy


def judged(margin: float, **probe: object) -> tuple[str, bool, str]:
    """The check's result, whether it decides, and its reason."""
    metrics = numbers() | {"probe": dict(probe) or None}
    _, check = gate(metrics, GateSettings(min_accuracy=0.1, min_over_probe=margin)).checks
    assert check.name == "min_over_probe"
    return check.result, check.decides, check.says


def test_a_model_is_measured_beside_its_probe(
    model: Make,
    recordings: list[Recording],
    turns: dict[str, list[Turn]],
    profile: Profile,
    tmp_path: Path,
) -> None:
    version = with_probe(model("sad"), tmp_path / "version", "angry")
    asks = profile.model_copy(update={"gate": GateSettings(min_accuracy=0.1, min_over_probe=-0.02)})
    evaluation = evaluate(version, recordings, turns, asks)
    probe = evaluation.metrics["probe"]
    # of seven utterances four are sad and two angry, one of which …
    assert (probe["accuracy"]["correct"], probe["accuracy"]["total"]) == (2, 7)
    assert probe["comparison"]["difference"] == pytest.approx(4 / 7 - 2 / 7)
    assert probe["differing"] == 6
    assert evaluation.verdict is not None and evaluation.verdict.decision == "pass"
    assert "Against a linear probe" in evaluation.report()
    json.dumps(evaluation.metrics, allow_nan=False)


def test_a_version_without_a_probe_says_that_the_check_was_not_made(
    model: Make, recordings: list[Recording], turns: dict[str, list[Turn]], profile: Profile
) -> None:
    checks = GateSettings(min_accuracy=0.1, min_over_probe=-0.02)
    asks = profile.model_copy(update={"gate": checks})
    evaluation = evaluate(model("sad"), recordings, turns, asks)
    assert evaluation.metrics["probe"] is None
    verdict = evaluation.verdict
    assert verdict is not None and verdict.decision == "pass"
    check = next(c for c in verdict.checks if c.name == "min_over_probe")
    assert not check.decides and "no linear probe" in check.says


def test_the_pretrained_encoders_of_a_fine_tuned_version_may_be_elsewhere(
    model: Make,
    recordings: list[Recording],
    turns: dict[str, list[Turn]],
    profile: Profile,
    tmp_path: Path,
) -> None:
    version = with_probe(model("sad"), tmp_path / "version", "sad", pretrained=True)
    written = TrainStep.of(profile).model_dump_json()
    (version / "profile.json").write_text(written)
    settings = Settings(home=tmp_path, models=tmp_path / "no-models")
    asks = profile.model_copy(update={"gate": GateSettings(min_accuracy=0.1, min_over_probe=0.0)})
    evaluation = evaluate(version, recordings, turns, asks, settings=settings)
    assert "its encoders are not here" in evaluation.metrics["probe"]["missing"]
    assert evaluation.verdict is not None and evaluation.verdict.decision == "inconclusive"
    assert "could not be asked" in evaluation.report()


@pytest.mark.parametrize(
    ("difference", "high", "result"),
    [(0.03, 0.08, "pass"), (-0.02, 0.03, "pass"), (-0.05, 0.01, "inconclusive"),
     (-0.09, -0.03, "fail"), (-0.09, None, "inconclusive")],
)  # fmt: skip
def test_a_model_that_loses_to_it_does_not_pass(
    difference: float, high: float | None, result: str
) -> None:
    comparison = compared(difference, None if high is None else 2 * difference - high, high)
    given, decides, reason = judged(-0.02, accuracy={"rate": 0.7}, comparison=comparison)
    assert (given, decides) == (result, True)
    assert "less that of a linear probe on the same encoders (0.7000)" in reason
