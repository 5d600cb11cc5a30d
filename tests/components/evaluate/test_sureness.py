"""What an evaluation says of a version's sureness, and of answers that it is not sure of."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.config import Profile, TrainStep
from components.conversation import Recording, Turn, read_turns
from components.evaluate import evaluate

Make = Callable[[str | None], Path]


@pytest.fixture
def unsure(model: Make, profile: Profile, tmp_path: Path) -> Path:
    """A model that always answers sad, at a temperature of 4, and calls less than 0.4 uncertain."""
    folder = tmp_path / "unsure"
    shutil.copytree(model("sad"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"calibration_temperature": 4.0}))
    made_by = TrainStep.of(profile).model_copy(update={"uncertain_below": 0.4})
    (folder / "profile.json").write_text(made_by.model_dump_json())
    return folder


def sure(temperature: float) -> float:
    """The confidence of a model whose logits are 2 and three times 0."""
    return math.exp(2 / temperature) / (math.exp(2 / temperature) + 3)


def test_calibration_before_and_after(
    unsure: Path, recordings: list[Recording], turns: dict[str, list[Turn]], profile: Profile
) -> None:
    numbers = evaluate(unsure, recordings, turns, profile).metrics["calibration"]
    # four of six answers are right, all equally sure
    assert numbers["temperature"] == 4
    assert numbers["ece"] == pytest.approx(abs(4 / 6 - sure(4)), abs=1e-6)
    assert numbers["before"]["ece"] == pytest.approx(abs(4 / 6 - sure(1)), abs=1e-6)
    assert numbers["before"]["total"] == numbers["total"] == 6


def test_uncertain_answers_keep_all_and_say_so(
    unsure: Path,
    recordings: list[Recording],
    turns: dict[str, list[Turn]],
    profile: Profile,
    tmp_path: Path,
) -> None:
    evaluation = evaluate(unsure, recordings, turns, profile)
    assert sure(4) < 0.4
    numbers = evaluation.metrics["calibration"]
    assert (numbers["coverage"]["correct"], numbers["coverage"]["total"]) == (0, 7)
    assert numbers["certain"]["rate"] is None
    # Scores treat them as usual.
    assert evaluation.metrics["accuracy"]["correct"] == 4
    evaluation.write(tmp_path)
    written = read_turns(tmp_path / "predictions.json")
    assert {turn.uncertain for turn in written} == {True}
    assert {turn.emotion for turn in written} == {"sad"}
    assert all(turn.probabilities for turn in written)
    assert "marked uncertain" in (tmp_path / "report.html").read_text()


def test_a_version_of_before_is_never_uncertain(
    model: Make, recordings: list[Recording], turns: dict[str, list[Turn]], profile: Profile
) -> None:
    evaluation = evaluate(model("sad"), recordings, turns, profile)
    numbers = evaluation.metrics["calibration"]
    assert numbers["before"] is None and numbers["temperature"] == 1
    assert (numbers["coverage"]["correct"], numbers["certain"]["correct"]) == (6, 4)
    assert {turn.uncertain for turn in evaluation.turns} == {None}
