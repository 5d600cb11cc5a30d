"""The loop's parts by themselves: whatever ends it, nothing goes on running."""

import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
import yaml

from components.base import Unavailable
from components.config import Settings, load_profile
from pipelines.cli.main import run
from pipelines.demo.loop.observe import LogFollower, run_result, wait_for
from pipelines.demo.loop.recordings import prepare_recordings
from pipelines.demo.loop.stack import Stack, prometheus_config
from pipelines.demo.loop.state import loop_settings, with_margin
from pipelines.trigger import PID

TINY = load_profile("tiny")
PROGRAMS = Settings().home / "prometheus"


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def stack(home: Path, programs: Path = PROGRAMS) -> Stack:
    return Stack(loop_settings(Settings(home=home)), programs, TINY, home / "corpus", {})


def test_its_state_is_its_own_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODLINE_MLFLOW_URI", "http://mlflow.example:5000")
    monkeypatch.setenv("MOODLINE_FEEDBACK_URL", "postgresql://example/feedback")
    monkeypatch.setenv("MOODLINE_TRITON_URL", "triton.example:8001")
    monkeypatch.setenv("MOODLINE_MODELS", str(tmp_path / "models"))
    own = loop_settings(Settings(home=tmp_path))
    assert own.models == tmp_path / "models"
    assert own.triton_url == ""
    for url in (own.mlflow_uri, own.feedback_url, own.trigger_url):
        assert url.startswith(f"sqlite:///{tmp_path}/loop/")
    assert own.log == tmp_path / "loop" / "log"


def test_prometheus_takes_what_it_is_given(tmp_path: Path) -> None:
    config = prometheus_config("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
    assert {job["job_name"] for job in config["scrape_configs"]} == {"moodline", "trigger"}
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
    tool = PROGRAMS.resolve() / "usr" / "bin" / "promtool"
    command = [tool, "check", "config", tmp_path / "prometheus.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 rule files found" in done.stdout


@pytest.mark.servers
def test_a_part_that_does_not_come_up_stops_the_others(tmp_path: Path) -> None:
    """No Triton: the service ends at once, and says why."""
    before = children()
    parts = stack(tmp_path)
    (tmp_path / "loop").mkdir()
    with (
        pytest.raises(
            Unavailable, match=r"service has ended: .*lacks tritonserver; run make setup"
        ),
        parts,
    ):
        parts.start(lambda name: None)
    assert children() == before


def test_without_prometheus_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOODLINE_MODELS", str(Settings().models.resolve()))
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path))
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "kept").touch()
    assert run(["demo-loop"]) == 2
    assert "prometheus: is not there; run: make demo-loop" in capsys.readouterr().err
    assert (tmp_path / "loop" / "kept").exists()


def test_a_run_that_was_started_ends_with_the_loop(tmp_path: Path) -> None:
    parts = stack(tmp_path)
    folder = tmp_path / "loop" / "runs" / "trigger-000001"
    folder.mkdir(parents=True)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / PID).write_text(str(process.pid))

    def note() -> None:  # as the trigger does
        process.wait()
        (folder / PID).unlink()

    noting = threading.Thread(target=note)
    noting.start()
    parts.stop()
    assert process.poll() is not None
    noting.join()


def test_a_runs_lines_come_once_and_whole(tmp_path: Path) -> None:
    log, lines = tmp_path / "retrain.log", LogFollower(tmp_path)
    log.write_text("one\ntw")
    assert lines.new_lines() == ["one"]
    assert lines.new_lines() == []
    with log.open("a") as file:
        file.write("o\nthrée\n")
    assert lines.new_lines() == ["two", "thrée"]


def test_how_a_run_run_result(tmp_path: Path) -> None:
    (tmp_path / "result.json").touch()
    (tmp_path / "retrain.log").write_text("  ✓ read\nmoodline: step train failed: no space\n")
    (tmp_path / PID).write_text("1")
    assert run_result(tmp_path) is None
    (tmp_path / PID).unlink()
    with pytest.raises(Unavailable, match="moodline: step train failed: no space"):
        run_result(tmp_path)
    (tmp_path / "result.json").write_text('{"decision": "fail"}')
    assert run_result(tmp_path) == {"decision": "fail"}


def test_what_does_not_come_is_not_waited_for_forever() -> None:
    with pytest.raises(Unavailable, match=r"the alert did not come within 0\.3 s"):
        wait_for(lambda: None, "the alert", 0.3, lambda: None)


def test_no_held_out_recording_is_ever_corrected(tmp_path: Path, demo_corpus: Path) -> None:
    calls = prepare_recordings(demo_corpus, TINY, tmp_path)
    assert {r.fold for r in calls.corrected} == {"Session1", "Session2", "Session3"}
    assert {r.fold for r in calls.held_out} == {"Session4", "Session5"}
    assert len(calls.tested) == 4
    assert all(name.startswith("Ses05") for name in calls.tested)
    assert {r.fold for r in calls.normal} == {"Session4", "Session5"}
    assert all(r.audio.is_relative_to(tmp_path) for r in (*calls.corrected, *calls.held_out))
    assert all(r.audio.is_relative_to(demo_corpus.resolve()) for r in calls.normal)


def test_of_the_gate_only_the_margins_are_the_loops(tmp_path: Path) -> None:
    wider = with_margin(TINY, 0.25)
    assert TINY.gate.no_regression is not None
    assert wider.gate.no_regression is not None
    assert wider.gate.no_regression.margins(4) == dict.fromkeys(
        TINY.gate.no_regression.margins(4), 0.25
    )
    assert wider.gate.no_regression.min_conversations == 4
    kept = TINY.gate.model_copy(update={"no_regression": wider.gate.no_regression})
    assert wider == TINY.model_copy(update={"gate": kept})
    unasked = TINY.model_copy(update={"gate": TINY.gate.model_copy(update={"no_regression": None})})
    assert with_margin(unasked, 0.25) == unasked
