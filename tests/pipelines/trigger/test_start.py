"""The call that a cause becomes: the real command in a process of its own; a run on Kubeflow."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from components.base import DatabaseAwayError
from components.config import Settings, load_profile
from components.conversation import FEEDBACK, Turn, read_manifest
from components.traffic import (
    Answered,
    Correction,
    FeedbackStore,
    Journal,
    LoggedTurn,
    audio_path,
    find_request,
    keep_audio,
)
from pipelines.cli.main import app
from pipelines.trigger import PID, Cause, Place, start_here, start_on_kubeflow
from pipelines.trigger.start import retrain_command

sys.path.insert(0, str(Path(__file__).parents[1] / "runners"))
from kfp_server import KfpServer

CAUSE = Cause("alert:ab12", "alert", "MoodlineDrift", "It drifted", "http://prometheus/graph")


def test_the_command_says_why_and_what_on(tmp_path: Path) -> None:
    place = Place("demo", tmp_path / "corpus", Settings(), promote=True)
    command = retrain_command(place, CAUSE, tmp_path / "came-back", 7)
    assert command == [
        "retrain", "--profile", "demo", "--json",
        "--reason", "trigger 7, alert MoodlineDrift: It drifted",
        "--cause", "alert:ab12 http://prometheus/graph",
        "--corpus", str(tmp_path / "corpus"), "--feedback", str(tmp_path / "came-back"),
        "--promote",
    ]  # fmt: skip
    data = Cause("data:1", "data", "new", "new data", corpus=tmp_path / "new")
    command = retrain_command(Place("demo", tmp_path / "corpus", Settings()), data, None, 8)
    assert command[command.index("--corpus") + 1] == str(tmp_path / "new")
    assert {"--feedback", "--promote"}.isdisjoint(command)


def test_every_option_of_the_command_exists() -> None:
    place = Place("demo", Path("c"), Settings(), promote=True)
    options = [word for word in retrain_command(place, CAUSE, Path("f"), 1) if word[:2] == "--"]
    helps = CliRunner().invoke(app, ["retrain", "--help"], env={"COLUMNS": "200"}).output
    assert all(option in helps for option in options)


def test_a_run_here_is_a_process_that_leaves_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without models: the command ends at once and says so in the run's log."""
    monkeypatch.setenv("MOODLINE_TRIGGER_TOKEN", "secret-of-the-trigger")
    place = Place("demo", None, Settings(home=tmp_path / "home"))
    run = start_here(place, CAUSE, 3)
    folder = Path(run.where)
    assert folder == tmp_path / "home" / "runs" / "trigger-000003"
    cause = json.loads((folder / "cause.json").read_text())
    assert (cause["number"], cause["name"], cause["url"]) == (3, CAUSE.name, CAUSE.url)
    assert cause["note"] == "there is no feedback yet; nothing was exported"
    log, until = folder / "retrain.log", time.monotonic() + 120
    while not log.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    assert f"{tmp_path}/home/models: the demo's models are not there" in log.read_text()
    while (folder / PID).exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not (folder / PID).exists()
    kept = "".join(path.read_text() for path in folder.iterdir() if path.is_file())
    assert "secret-of-the-trigger" not in kept


def test_a_run_here_trains_on_what_came_back(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    probabilities = {"angry": 0.1, "happy": 0.1, "neutral": 0.7, "sad": 0.1}
    turn = Turn("call", 0.0, 1.0, "A", "", "neutral", 0.7, probabilities)
    measures = {"duration": 1.0, "words_per_second": 2.0, "loudness_db": -20.0, "snr_db": 30.0}
    logged = (LoggedTurn(turn, np.zeros(4, "f4"), measures),)
    now, name = datetime.now(UTC), "0" * 32
    journal = Journal(settings.log)
    journal.append(Answered("r0", name, now, "/v1/analyze", 1, "production", True, logged).line())
    journal.close()
    keep_audio(audio_path(settings.log, name, "r0", now), np.zeros(32_000, "f4"))
    store = FeedbackStore(settings.feedback_url)
    store.record(Correction("r0", 0, "sad", "reviewer"), find_request(settings.log, "r0"))
    store.close()
    folder = Path(start_here(Place("demo", None, settings), CAUSE, 1).where)
    told = json.loads((folder / "cause.json").read_text())
    assert told["note"] == "1 labelled turns of 1 recordings"
    assert told["command"][-2:] == ["--feedback", str(folder / "feedback")]
    (recording,) = read_manifest(folder / "feedback")
    assert (recording.fold, recording.utterances[0].emotion) == (FEEDBACK, "sad")


def test_no_run_without_what_came_back_when_that_cannot_be_read(tmp_path: Path) -> None:
    url = f"postgresql+psycopg2://moodline@/feedback?host={tmp_path}"
    settings = Settings.model_validate({"home": tmp_path, "feedback_url": url})
    with pytest.raises(DatabaseAwayError, match="the feedback's database"):
        start_here(Place("demo", None, settings), CAUSE, 1)


def test_a_run_on_kubeflow_is_linked_by_its_id(tmp_path: Path) -> None:
    server = KfpServer(token="sesame")
    settings = Settings.model_validate({"kfp_host": server.url, "kfp_token": "sesame"})
    place = Place("demo", Path("/moodline/corpus"), settings)
    run = start_on_kubeflow(place, load_profile("demo"), CAUSE, 4)
    server.close()
    ((number, made),) = server.runs.items()
    assert run.where == f"{number} {server.url}/#/runs/details/{number}"
    asked = made.runtime_config.parameters
    assert asked["reason"] == "trigger 4, alert MoodlineDrift: It drifted"
    assert asked["cause"] == "alert:ab12 http://prometheus/graph"
    assert (asked["corpus"], asked["promote_if_passed"]) == ("/moodline/corpus", False)
    assert server.faults == []
