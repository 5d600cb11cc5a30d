"""`moodline demo-loop` on the small corpus, all real: drift, alert, retraining, promotion."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
import yaml

from components.config import Settings, load_profile
from components.conversation import FEEDBACK, read_manifest

pytestmark = [pytest.mark.loop, pytest.mark.models, pytest.mark.servers, pytest.mark.timeout(1200)]

Run = Callable[[str], subprocess.CompletedProcess[str]]

CORRECTED = 6
"""The small corpus' training recordings."""


@pytest.fixture(scope="module")
def printed(run: Run, workplace: Path) -> str:
    """What the command printed, after its end.

    Its gate does not compare with production: of one test conversation nothing could be told.
    """
    profile = load_profile("tiny").model_dump(mode="json")
    profile |= {"name": "small", "gate": {"min_accuracy": 0.3}}
    (workplace / "loop.yaml").write_text(yaml.safe_dump(profile))
    programs = workplace / ".moodline" / "prometheus"
    programs.parent.mkdir(exist_ok=True)
    programs.symlink_to(Settings().home.resolve() / "prometheus")
    done = run("moodline demo-loop --corpus corpus --profile loop.yaml")
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def home(printed: str, workplace: Path) -> Path:
    return workplace / ".moodline" / "loop"


@pytest.fixture(scope="module")
def asked(run: Run, home: Path) -> Callable[[str], Any]:
    """A command's answer about the loop's own state."""

    def ask(command: str) -> Any:
        done = run(f"MOODLINE_HOME={home} moodline {command} --json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def test_it_tells_what_happened_in_order(printed: str) -> None:
    lines = iter(printed.splitlines())
    for told in (
        "moodline drift: too_small",
        "POST /v1/feedback: ",
        "moodline drift: drift: ",
        "Prometheus: MoodlineDrift fires",
        "Alertmanager routes it to: team, trigger",
        "the trigger started a retraining: trigger-000001",
        "Alert to started run: ",
        "the gate says pass",
        "version 2 was promoted, and answers",
        "answered by version 2",
    ):
        assert any(told in line for line in lines), f"“{told}” is missing, or too early:\n{printed}"


def test_accuracy_on_the_same_utterances_before_and_after(printed: str) -> None:
    for kind in ("normal", "drifted"):
        row = re.search(rf"^{kind} +(\d+) +(\d+\.\d)% +(\d+\.\d)% +", printed, re.MULTILINE)
        assert row is not None, printed
        assert int(row[1]) == 14


def test_the_run_is_linked_to_the_alert_and_the_version_to_both(
    asked: Callable[[str], Any],
) -> None:
    entries = asked("trigger history")
    assert [entry["outcome"] for entry in entries] == ["starting", "started"]
    first, second = sorted(asked("registry list"), key=lambda version: version["number"])
    assert "production" in second["aliases"]
    assert first["lineage"]["reason"] == "moodline demo-loop"
    assert second["lineage"]["reason"].startswith("trigger 1, alert MoodlineDrift: The traffic has")
    cause = second["lineage"]["cause"]
    assert cause == f"{entries[1]['cause']} {entries[1]['url']}"
    assert "moodline_drift_detected" in cause
    promotions = asked("registry history")
    assert [(e["action"], e["to_version"]) for e in promotions] == [("promote", 1), ("promote", 2)]
    assert promotions[1]["reason"] == second["lineage"]["reason"]


def test_it_was_trained_on_what_came_back_and_on_nothing_held_out(home: Path) -> None:
    (run,) = (home / "runs").iterdir()
    came_back = read_manifest(run / "feedback")
    assert len(came_back) == CORRECTED
    assert {recording.fold for recording in came_back} == {FEEDBACK}
    (reference,) = run.rglob("train/model/drift_reference.parquet")
    table = pq.read_table(reference).to_pylist()
    parts = {row["recording"]: row["part"] for row in table}
    assert {name for name in parts if name.startswith(FEEDBACK)} == {r.name for r in came_back}
    assert all(parts[recording.name] == "training" for recording in came_back)
    assert not any("Ses05" in name for name in parts)


def test_nothing_goes_on_running(home: Path) -> None:
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MOODLINE_HOME") == str(home) or str(home) in " ".join(
                process.cmdline()
            ):
                left.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    assert left == []
