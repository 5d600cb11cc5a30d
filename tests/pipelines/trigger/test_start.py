"""The call that a cause becomes: the real command in a process of its own; a run on Kubeflow."""

import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from components.base import DatabaseAwayError
from components.config import ClusterSettings, Settings, load_profile
from components.config.cluster import Volume
from components.conversation import FEEDBACK, Turn, read_manifest
from components.traffic import (
    Correction,
    FeedbackStore,
    LoggedRequest,
    LoggedTurn,
    LogWriter,
    TurnLog,
    audio_path,
    keep_audio,
)
from pipelines.runners.request import RetrainRequest
from pipelines.trigger import (
    PID,
    Cause,
    request_for,
    resume_here,
    start_here,
    start_on_kubeflow,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "runners"))
from kfp_server import KfpServer

CAUSE = Cause("alert:ab12", "alert", "MoodlineDrift", "It drifted", "http://prometheus/graph")


def started(settings: Settings, number: int) -> Path:
    """The folder of a run that was started here."""
    usual = RetrainRequest(corpus=Path("corpus"))
    return Path(start_here(CAUSE, number, usual=usual, profile="tiny", settings=settings))


def test_a_cause_asks_for_its_own_corpus_and_says_why(tmp_path: Path) -> None:
    usual = RetrainRequest(corpus=tmp_path / "corpus", promote=True, actor="trigger")
    assert request_for(CAUSE, 7, usual) == RetrainRequest(
        corpus=tmp_path / "corpus",
        promote=True,
        actor="trigger",
        reason="trigger 7, alert MoodlineDrift: It drifted",
        cause="alert:ab12 http://prometheus/graph",
    )
    data = Cause("data:1", "data", "new", "new data", corpus=tmp_path / "new")
    assert request_for(data, 8, usual).corpus == tmp_path / "new"


def test_a_run_here_is_a_process_that_leaves_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without models: the command ends at once and says so in the run's log."""
    monkeypatch.setenv("MOODLINE_TRIGGER_TOKEN", "secret-of-the-trigger")
    folder = started(Settings(home=tmp_path / "home"), 3)
    assert folder == tmp_path / "home" / "runs" / "trigger-000003"
    assert folder.stat().st_mode & 0o777 == 0o700
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


def test_a_run_that_was_cut_off_is_started_again_and_one_that_goes_on_is_not(
    tmp_path: Path,
) -> None:
    """As after a restart of the trigger's container, which ends all that runs in it."""
    settings = Settings(home=tmp_path)
    folder = started(settings, 1)
    path = folder / PID
    assert resume_here(settings) == []
    os.kill(int(path.read_text()), signal.SIGKILL)
    until = time.monotonic() + 60
    while path.exists() and time.monotonic() < until:
        time.sleep(0.05)
    # The trigger was ended as well and took no note; the number is another process' now.
    path.write_text(str(os.getpid()))
    assert resume_here(settings) == [folder]
    assert resume_here(settings) == []
    assert path.read_text() != str(os.getpid())
    while path.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert "models are not there" in (folder / "retrain.log").read_text()
    # It ended well, with no trigger there to see it.
    path.write_text("1")
    (folder / "result.json").write_text("{}")
    assert resume_here(settings) == []
    assert not path.exists()


def test_a_run_here_trains_on_what_came_back(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    probabilities = {"angry": 0.1, "happy": 0.1, "neutral": 0.7, "sad": 0.1}
    turn = Turn("call", 0.0, 1.0, "A", "", "neutral", 0.7, probabilities)
    measures = {"duration": 1.0, "words_per_second": 2.0, "loudness_db": -20.0, "snr_db": 30.0}
    logged = (LoggedTurn(turn, np.zeros(4, "f4"), measures),)
    now, name = datetime.now(UTC), "0" * 32
    log = TurnLog(settings.log, settings.feedback_url)
    request = LoggedRequest("r0", name, now, "/v1/analyze", 1, "production", True, logged)
    LogWriter(log).write(request)
    log.close()
    keep_audio(audio_path(settings.log, name, "r0", now), np.zeros(32_000, "f4"))
    store = FeedbackStore(settings.feedback_url)
    store.record(Correction("r0", 0, "sad", "reviewer"))
    store.close()
    folder = started(settings, 1)
    cause = json.loads((folder / "cause.json").read_text())
    assert cause["note"] == "1 labelled turns of 1 recordings"
    assert cause["command"][-2:] == ["--feedback", str(folder / "feedback")]
    (recording,) = read_manifest(folder / "feedback")
    assert (recording.fold, recording.utterances[0].emotion) == (FEEDBACK, "sad")


def test_no_run_without_what_came_back_when_that_cannot_be_read(tmp_path: Path) -> None:
    url = f"postgresql+psycopg2://moodline@/feedback?host={tmp_path}"
    settings = Settings.model_validate({"home": tmp_path, "feedback_url": url})
    with pytest.raises(DatabaseAwayError, match="the feedback's database"):
        started(settings, 1)


def test_a_run_on_kubeflow_is_linked_by_its_id(tmp_path: Path) -> None:
    server = KfpServer(token="sesame")
    settings = Settings.model_validate({"kfp_host": server.url, "kfp_token": "sesame"})
    usual = RetrainRequest(corpus=Path("/moodline/corpus"), actor="trigger")
    volume = ClusterSettings(volume=Volume(claim="moodline"))
    profile = load_profile("tiny").model_copy(update={"cluster": volume})
    run = start_on_kubeflow(CAUSE, 4, usual=usual, profile=profile, settings=settings)
    server.close()
    ((number, made),) = server.runs.items()
    assert run == f"{number} {server.url}/#/runs/details/{number}"
    asked = made.runtime_config.parameters
    assert asked["reason"] == "trigger 4, alert MoodlineDrift: It drifted"
    assert asked["cause"] == "alert:ab12 http://prometheus/graph"
    assert (asked["corpus"], asked["promote_if_passed"]) == ("/moodline/corpus", False)
    assert server.faults == []
