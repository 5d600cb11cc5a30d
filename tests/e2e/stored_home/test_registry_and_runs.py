"""The registry, profiles, verdicts, gauges and the trigger's history of a home of version 0.1."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.config import Settings, load_profile
from components.conversation import Recording, Turn, read_audio
from components.evaluate import predict_turns
from components.fusion import Classifier
from components.register import Lineage, download, register
from components.traffic import TurnLog, kept_audio
from components.traffic.answers import find_request
from pipelines.cli.main import run
from pipelines.runners.outcome_metrics import record_outcome
from pipelines.trigger import Cause, Ledger, Policy, Trigger

Json = Callable[..., Any]

OF_BEFORE = {"account": "", "signed": False, "fault": ""}
"""What is told of an entry of the ledger that was written before entries were signed."""


def test_the_registry_says_what_it_said(moodline: Json, expected: dict[str, Any]) -> None:
    listed = moodline("registry", "list")
    assert [version.pop("signature") for version in listed] == ["valid"] * 3
    assert listed == expected["versions"]
    assert moodline("registry", "history") == [e | OF_BEFORE for e in expected["history"]]
    assert [entry["won"] for entry in expected["history"]].count(False) == 1
    shown = moodline("registry", "show", "staging")
    assert (shown["number"], shown["verdict"]) == (3, "inconclusive")
    assert "too few to compare" in "; ".join(shown["reasons"])
    assert {check["result"] for check in moodline("gate", "production")["checks"]} == {"pass"}
    for command in ("list", "history", "show"):
        assert run(["registry", command, *(["1"] if command == "show" else [])]) == 0


def test_the_registry_goes_on(moodline: Json, home: Path, expected: dict[str, Any]) -> None:
    """Back, out of staging and forward again; the ledger of before is continued."""
    assert run(["registry", "rollback", "--actor", "eve", "--reason", "back"]) == 0
    assert run(["registry", "rollback", "--from", "staging", "--actor", "eve"]) == 0
    aliases = {v["number"]: v["aliases"] for v in moodline("registry", "list")}
    assert aliases == {3: ["candidate"], 2: [], 1: ["production"]}
    assert run(["registry", "rollback", "--actor", "eve"]) == 1  # there was nothing before it
    assert run(["registry", "promote", "2", "--actor", "eve"]) == 0
    entries = moodline("registry", "history")
    before = [entry | OF_BEFORE for entry in expected["history"]]
    assert entries[: len(before)] == before
    assert all(entry["signed"] and not entry["fault"] for entry in entries[len(before) :])
    added = [(e["action"], e["stage"], e["to_version"]) for e in entries[-3:]]
    assert added == [
        ("rollback", "production", 1),
        ("rollback", "staging", None),
        ("promote", "production", 2),
    ]


def test_what_it_registered_is_signed_once_and_then_served(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It had no keys. The first command that asks the registry signs what is there, in one line."""
    from components.register import list_versions
    from serving.supervisor.registry_follower import fetch_production

    assert run(["registry", "history"]) == 0
    served = fetch_production(Settings())
    assert run(["registry", "list"]) == 0
    (line,) = [r.message for r in caplog.records if "its key signed" in r.message]
    assert (
        line == f"migrated {home}/signing: its key signed what was registered here before: 1, 2, 3"
    )
    assert (served.version, served.verdict) == (2, "pass")
    assert {version.signature for version in list_versions(Settings())} == {"valid"}
    assert (home / "signing" / "private.pem").stat().st_mode & 0o777 == 0o600


def test_a_version_answers_as_it_did(home: Path, tmp_path: Path) -> None:
    """What it answered then stands in the log, beside the sound; by its graph, by torch, and by
    the code that MLflow keeps with it."""
    import mlflow
    import mlflow.pyfunc

    rows = find_request(TurnLog(home / "log", Settings().feedback_url).open(), "to-call-1")
    sound = kept_audio(home / "log", rows[0])
    assert sound is not None
    recording = Recording("call-1", sound, "", None, ())
    turns = [Turn("call-1", r["start"], r["end"], r["speaker"], r["text"]) for r in rows]
    before = [pytest.approx(row["probabilities"], abs=0.01) for row in rows]

    def answers(folder: Path) -> list[list[float]]:
        answered = predict_turns(Classifier(folder), [recording], {"call-1": turns})
        return [list((turn.probabilities or {}).values()) for turn in answered]

    folder = download(1, tmp_path / "version", Settings())
    assert answers(folder) == before
    (folder / "model.onnx").unlink()
    assert answers(folder) == before
    before_this_test = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(Settings().mlflow_uri)
    model = mlflow.pyfunc.load_model("models:/moodline/1")
    mlflow.set_tracking_uri(before_this_test)
    clips = [read_audio(sound, turn.start, turn.end).tolist() for turn in turns]
    asked = {"audio": clips, "text": [turn.words for turn in turns]}
    import pandas as pd

    answered = model.predict(pd.DataFrame(asked))
    assert answered["probabilities"].tolist() == before
    assert answered["emotion"].tolist() == [row["emotion"] for row in rows]


def test_what_was_registered_is_not_registered_again(
    home: Path, moodline: Json, tmp_path: Path
) -> None:
    folder = download(2, tmp_path / "version", Settings())
    evidence = home / "runs" / "20261122-080000-000002" / "evaluate"
    lineage = Lineage("later", "corpus-digest", load_profile((folder / "profile.json").read_text()))
    version = register(
        folder,
        evidence / "metrics.json",
        evidence / "report.html",
        evidence / "verdict.json",
        lineage,
        Settings(),
    )
    assert version == 2
    assert len(moodline("registry", "list")) == 3


def test_the_trigger_knows_what_it_started(home: Path, moodline: Json) -> None:
    entries = moodline("trigger", "history")
    assert [(entry["name"], entry["outcome"]) for entry in entries] == [
        ("MoodlineDrift", "starting"),
        ("MoodlineDrift", "started"),
        ("MoodlineAccuracy", "cooldown"),
        ("MoodlineDrift", "resolved"),
        ("corpora/new", "starting"),
        ("corpora/new", "failed"),
        ("MoodlineAccuracy", "rehearsed"),
    ]
    assert Path(entries[1]["run"]) == home / "runs" / "trigger-000001"
    ledger, started = Ledger(Settings().trigger_url), []

    def start(cause: Cause, number: int) -> str:
        started.append((cause.name, number))
        return "here"

    trigger = Trigger(ledger, start, Policy())
    known = Cause(entries[0]["cause"], "alert", "MoodlineDrift", "again")
    assert trigger.fire(known).outcome == "known"
    assert started == []
    ledger.close()


def test_profiles_and_their_gates_say_what_they_said(home: Path, expected: dict[str, Any]) -> None:
    for name, before in zip(("calls", "shares"), expected["profiles"], strict=True):
        profile = load_profile(home / "profiles" / f"{name}.yaml")
        now = profile.model_dump(mode="json") | {"digest": profile.digest()}
        # A cluster's part gains keys, and counts for nothing in the digest.
        now["cluster"] = {name: now["cluster"][name] for name in before["cluster"]}
        assert now == before


def test_verdicts_and_gauges_of_old_runs_are_read(home: Path, moodline: Json) -> None:
    for day, status in {21: 0, 23: 1}.items():
        (verdict,) = (home / "runs").glob(f"202611{day}-*/evaluate/verdict.json")
        assert moodline("gate", str(verdict), status=status) == json.loads(verdict.read_text())
    gauges = home / "metrics" / "retrain.prom"
    record_outcome(gauges, "fail", at=1.795e9)
    lines = gauges.read_text().splitlines()
    for decision, at in (("error", "1.78e+09"), ("pass", "1.79e+09"), ("fail", "1.795e+09")):
        name = "moodline_retrain_finished_timestamp_seconds"
        assert f'{name}{{decision="{decision}"}} {at}' in lines
    assert any(line.startswith('moodline_gate_passed{check="max_teer"} 1.0') for line in lines)
