"""`moodline drift` and `moodline feedback` as scripts meet them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from components.base import Unavailable
from components.config import Settings
from components.conversation import DEFAULT_LABELS, Turn, read_manifest
from components.traffic import (
    Correction,
    FeedbackStore,
    LoggedRequest,
    LoggedTurn,
    LogWriter,
    TurnLog,
    audio_path,
    keep_audio,
    recording_id,
    recording_key,
)
from pipelines.cli.main import run
from pipelines.trigger.gauges import gauge_files
from tests.components.base.objects import object_store

ROOT = Path(__file__).resolve().parents[3]
Log = Callable[[float], None]
RNG = np.random.default_rng(0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a version's folder in it, made on 20 recordings at 30 dB."""
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path))
    columns: dict[str, list] = {}
    for recording in range(20):
        for _ in range(10):
            p = RNG.dirichlet(np.ones(4))
            row = {
                "part": "training" if recording < 12 else "validation",
                "recording": str(recording),
                "emotion": DEFAULT_LABELS[p.argmax()],
                "probabilities": p.tolist(),
                "confidence": 0.5 + RNG.normal(0, 0.1),
                "duration": 2 + RNG.normal(0, 0.3),
                "words_per_second": 2 + RNG.normal(0, 0.3),
                "loudness_db": -20 + RNG.normal(),
                "snr_db": 30 + RNG.normal(),
                "asr_confidence": None,
                "embedding": RNG.normal(size=4).tolist(),
            }
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
    schema = {"asr_confidence": pa.array(columns.pop("asr_confidence"), pa.float32())}
    (tmp_path / "version").mkdir()
    pq.write_table(pa.table(columns | schema), tmp_path / "version" / "drift_reference.parquet")
    return tmp_path


@pytest.fixture
def log(home: Path) -> Log:
    """Logs twelve recordings of ten turns at some signal to noise."""

    def write(snr: float) -> None:
        log = TurnLog(home / "log", f"sqlite:///{home}/feedback.db")
        writer = LogWriter(log)
        key = recording_key(home / "log")
        for number in range(12):
            turns = []
            for at in range(10):
                drawn = RNG.dirichlet(np.ones(4))
                p = dict(zip(DEFAULT_LABELS, map(float, drawn), strict=True))
                emotion = DEFAULT_LABELS[drawn.argmax()]
                sure = 0.5 + float(RNG.normal(0, 0.1))
                said = Turn("x", at, at + 1.0, "A", "", emotion, sure, p)
                measures = {
                    "duration": 2 + float(RNG.normal(0, 0.3)),
                    "words_per_second": 2 + float(RNG.normal(0, 0.3)),
                    "loudness_db": -20 + float(RNG.normal()),
                    "snr_db": snr + float(RNG.normal()),
                }
                turns.append(LoggedTurn(said, RNG.normal(size=4).astype("f4"), measures))
            name = recording_id(f"/call-{number}", key)
            now = datetime.now(UTC)
            place = audio_path(home / "log", name, f"r{number}", now)
            if number == 0:
                keep_audio(place, np.zeros(160_000, "f4"))
            request = LoggedRequest(
                f"r{number}", name, now, "/v1/analyze", 1, "production", number == 0, tuple(turns)
            )
            writer.write(request)
        writer.close()
        log.close()

    return write


def test_exit_statuses_and_papers(home: Path, log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["drift", "--version", str(home / "version")]
    assert run([*command, "--json"]) == 0
    assert not (home / "feedback.db").exists()  # only read
    assert json.loads(capfd.readouterr().out)["decision"] == "too_small"
    assert run([*command, "--window", "yesterday"]) == 2
    assert "--window yesterday: name a length as 30m, 24h or 7d" in capfd.readouterr().err

    log(30.0)
    assert run([*command, "-o", str(home / "report.html"), "--prom", str(home / "d.prom")]) == 0
    assert "as before" in capfd.readouterr().out
    assert json.loads((home / "log" / "drift.json").read_text())["decision"] == "ok"
    assert 'moodline_drift_detected{version="unknown"} 0.0' in (home / "d.prom").read_text()
    assert "<h1>Moodline drift</h1>" in (home / "report.html").read_text()

    for option in ("-o", "--prom"):  # what goes to standard output goes there alone
        assert run([*command, option, "-"]) == 0
        printed = capfd.readouterr().out
        assert "as before" not in printed.rpartition("</html>")[2]
        assert run([*command, option, "-", "--json"]) == 2
        assert "standard output can take one thing" in capfd.readouterr().err

    assert run(["log", "export", "-o", str(home / "calm")]) == 0
    log(15.0)
    capfd.readouterr()
    assert run([*command, "--log", str(home / "calm"), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["turns"] == 120
    assert run([*command, "--log", str(home / "version")]) == 2
    assert run(command) == 1
    printed = capfd.readouterr()
    assert "snr_db" in printed.err
    assert "drifted" in printed.out


@pytest.mark.servers
def test_the_trigger_shows_gauges_that_drift_left_in_an_object_store(
    home: Path,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    log(15.0)
    with object_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MOODLINE_METRICS", f"{store.url}/metrics")
        places = ["--prom", f"{store.url}/metrics/drift.prom", "-o", f"{store.url}/metrics/d.html"]
        assert run(["drift", "--version", str(home / "version"), *places]) == 1
        assert store.names() == ["metrics/d.html", "metrics/drift.prom"]
        ((name, text),) = gauge_files(Settings().metrics_location)
        assert name == "drift.prom"
        assert b'moodline_drift_detected{version="unknown"} 1.0' in text
        store.door.refuse(503, "SlowDown")
        with pytest.raises(Unavailable, match="s3://moodline/metrics"):
            gauge_files(Settings().metrics_location)
        capfd.readouterr()
        assert run(["drift", "--version", str(home / "version"), *places]) == 2
        assert "s3://moodline/metrics/d.html: the object store cannot" in capfd.readouterr().err
    assert run(["drift", "--prom", "ftp://host/drift.prom"]) == 2
    assert "ftp://…: is no location" in capfd.readouterr().err


def test_the_cluster_s_job_takes_drift_for_an_answer(home: Path, log: Log) -> None:
    """Its very command, but for where gauges go: 0 where it drifted, 2 where it is wrong."""
    manifest = ROOT / "infra" / "kubernetes" / "base" / "drift.yaml"
    job = yaml.safe_load(manifest.read_text(encoding="utf-8"))["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    metrics = str(home / "metrics")
    arguments = [part.replace("$(MOODLINE_METRICS)", metrics) for part in container["args"]]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def ends(*more: str) -> int:
        command = [*container["command"], *arguments, "--version", str(home / "version"), *more]
        environment = {**os.environ, "PATH": programs, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=environment, check=False, capture_output=True).returncode

    log(15.0)
    assert ends() == 0
    assert (
        'moodline_drift_detected{version="unknown"} 1.0'
        in (home / "metrics" / "drift.prom").read_text()
    )
    assert ends("--window", "yesterday") != 0


def test_feedback_is_exported_and_a_recording_erased(
    home: Path, log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["feedback", "export", "-o", str(home / "out")]) == 2
    assert "there is no feedback yet" in capfd.readouterr().err
    assert not (home / "feedback.db").exists()
    log(30.0)
    store = FeedbackStore(f"sqlite:///{home}/feedback.db")
    for request in ("r0", "r1"):
        store.record(Correction(request, 2, "sad", "reviewer"))
    assert run(["feedback", "export", "-o", str(home / "out")]) == 0
    printed = capfd.readouterr()
    assert "1 labelled turns of 1 recordings" in printed.out
    assert "1 labelled turns were left out: their sound was not kept" in printed.err
    assert [r.name for r in read_manifest(home / "out")] == ["feedback-r0"]
    assert run(["feedback", "show", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["live"]["1"]["turns"] == 2
    assert run(["log", "erase", "call-0", "--json"]) == 0
    erased = json.loads(capfd.readouterr().out)
    assert (erased["logged"], erased["feedback"]) == (11, 1)
    assert [entry.request_id for entry in store.entries()] == ["r1"]
    store.close()
    assert run(["log", "erase", "call-0"]) == 2
    assert "call-0: nothing is kept of a recording of that name" in capfd.readouterr().err
    assert run(["log", "erase", "call-1", "--owner", "web"]) == 2
    assert "nothing is kept of a recording of that name and the ow" in capfd.readouterr().err
    assert run(["log", "erase", "sent/call-1.wav"]) == 0
    assert run(["log", "erase", "(call-2)"]) == 0  # as the service cleans it
    assert "Erased: 10 turns and sound files, 0 entries" in capfd.readouterr().out


def test_the_log_is_exported_as_parquet(
    home: Path, log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    out = home / "turns.parquet"
    assert run(["log", "export", "-o", str(out)]) == 2
    assert "nothing in the log for this window" in capfd.readouterr().err
    assert not out.exists() and not (home / "feedback.db").exists()
    log(30.0)
    assert run(["log", "export", "-o", str(out), "--window", "1h", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"path": str(out), "rows": 120}
    assert pq.read_table(out).num_rows == 120
    assert run(["log", "export", "-o", str(home / "version")]) == 2  # it is not empty
    assert run(["log", "export", "-o", str(home / "days")]) == 0
    assert "120 rows" in capfd.readouterr().out


def test_without_a_version_in_production_there_is_nothing_to_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path))
    assert run(["drift", "--json"]) == 0
    told = capsys.readouterr()
    assert "No version is in production yet" in told.err
    assert json.loads(told.out) is None
    gauges = tmp_path / "metrics" / "drift.prom"
    assert run(["drift", "--prom", str(gauges)]) == 0
    # Somebody looked, so MoodlineDriftUnchecked does not fire.
    (line,) = (line for line in gauges.read_text().splitlines() if not line.startswith("#"))
    name, moment = line.split()
    assert name == "moodline_drift_checked_timestamp_seconds"
    assert abs(float(moment) - time.time()) < 60
    assert run(["drift", "--version", "staging"]) == 2
