"""`moodline gate`: the checks on standard output, the verdict as exit status."""

import json
from pathlib import Path

import pytest

from components.base import InputError
from components.config import Settings, load_profile
from components.scoring import Check, Result, Verdict, power
from pipelines.cli.main import run
from pipelines.cli.runs import say_power

Capture = pytest.CaptureFixture[str]


def write(path: Path, result: Result) -> Path:
    checks = (
        Check("min_accuracy", 0.71, "at least", 0.45, "pass", "accuracy is 0.71"),
        Check("slices.length.long", None, "at least", 0.5, result, "four long ones are too few"),
    )
    path.write_text(json.dumps(Verdict("d1", checks).to_json()))
    return path


@pytest.mark.parametrize(("result", "status"), [("pass", 0), ("fail", 1), ("inconclusive", 1)])
def test_a_verdict_is_an_exit_status(
    result: Result, status: int, tmp_path: Path, capsys: Capture
) -> None:
    path = write(tmp_path / "verdict.json", result)
    assert run(["gate", str(path)]) == status
    said = capsys.readouterr()
    rows = [line.split() for line in said.out.splitlines()[1:]]
    assert rows == [
        ["min_accuracy", "0.71", "at", "least", "0.45", "pass"],
        ["slices.length.long", "–", "at", "least", "0.5", result],
    ]
    last = f"moodline: the gate says {result}: four long ones are too few\n"
    assert said.err == ("" if status == 0 else last)


def test_as_json(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path / "verdict.json", "fail")
    assert run(["gate", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == json.loads(path.read_text())


def test_what_is_no_verdict_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "verdict.json"
    path.write_text('{"verdict": "pass"}')
    assert run(["gate", str(path)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"moodline: {path}: is not a verdict")
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_version_before_there_is_one_is_one_line(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    assert run(["gate", "candidate"]) == 2
    assert "candidate: no version of moodline is registered yet" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_the_power_stands_under_the_checks(tmp_path: Path, capsys: Capture) -> None:
    checks = (
        Check("min_accuracy", 0.71, "at least", 0.45, "pass", "accuracy is 0.71"),
        Check("no_regression.teer", 0.3, "below", 0.1, "fail", "TEER rose", decides=False),
    )
    known = power("accuracy", [1 / 1240] * 1240, 31, 0.01)
    path = tmp_path / "verdict.json"
    path.write_text(json.dumps(Verdict("d1", checks, known).to_json()))
    assert run(["gate", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[2].endswith("fail (only reported)")
    assert "The gate's power: with 31 conversations (1,240 utterances) an equal model" in said.err
    assert run(["gate", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["power"]["passes"] == pytest.approx(0.19, abs=0.01)


def test_a_retraining_tells_the_power_first(
    tmp_path: Path, capsys: Capture, demo_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    say_power(load_profile("tiny"), demo_corpus, Settings())
    said = "Warning: little power. The gate's power: with 4 conversations (56 utterances) an equal"
    assert said in capsys.readouterr().err
    own = load_profile("tiny").gate.model_copy(update={"own": {"churn": {}}})
    asking = load_profile("tiny").model_copy(update={"gate": own})
    with pytest.raises(InputError, match="own check 'churn' is not installed"):
        say_power(asking, demo_corpus, Settings())
    say_power(asking, tmp_path / "no corpus", Settings())
