"""The local runner: branches are taken, failures are told, nothing stays behind."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.base import InputError
from components.config import Settings, load_profile
from components.register import Refused
from pipelines.definitions.code_version import ROOT, git_commit
from pipelines.runners.local import OnStep, run_pipeline
from pipelines.runners.steps import LogReader, Step, StepFailed, last_words
from tests.small_disk import on_small_disk

HERE = Path(__file__).parent
PROFILE = load_profile("demo")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture(autouse=True)
def tiny_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def run(
    settings: Settings, on_step: OnStep | None = None, **arguments: Any
) -> tuple[Path, LogReader, dict[str, dict[str, Any]]]:
    return run_pipeline(
        "tiny_pipeline:tiny_pipeline", PROFILE, arguments, settings, on_step=on_step
    )


def record(settings: Settings) -> str:
    """What the exit handler wrote down."""
    (note,) = settings.runs.glob("*/tiny-*/record/note")
    return note.read_text()


UNTIL_DECIDED = ["make", "listen", "listen-2", "join", "decide"]


def test_a_pass_is_registered_and_promoted(settings: Settings) -> None:
    seen: list[Step] = []
    folder, reader, left = run(settings, seen.append, says="pass", wanted=True)
    assert sorted(reader.steps) == sorted([*UNTIL_DECIDED, "register", "promote", "record"])
    assert list(reader.steps)[-4:] == ["decide", "register", "promote", "record"]
    for name in reader.steps:
        assert [step.state for step in seen if step.name == name] == ["running", "done"]
    assert left["promote"]["parameters"] == {"Output": 8}
    assert Path(left["join"]["artifacts"]["data"]).read_text() == "pass"
    # The steps saw the settings, absolute, wherever they ran.
    assert left["make"]["parameters"]["Output"] == str(settings.home.resolve())
    assert folder.parent == settings.runs.resolve()
    assert (folder / "run.log").stat().st_size
    assert record(settings) == "SUCCEEDED"


def test_a_refusal_is_no_failure(settings: Settings) -> None:
    _, reader, _ = run(settings, says="fail", wanted=True)
    assert list(reader.steps)[-3:] == ["decide", "refuse", "record"]
    assert all(step.state == "done" for step in reader.steps.values())


def test_an_open_question_is_not_promoted(settings: Settings) -> None:
    _, reader, _ = run(settings, says="inconclusive", wanted=True)
    assert list(reader.steps)[-3:] == ["decide", "register", "record"]


def test_what_was_done_before_is_not_done_again(settings: Settings) -> None:
    _, _, first = run(settings, says="pass")
    _, reader, second = run(settings, says="pass")
    states = {name: step.state for name, step in reader.steps.items()}
    assert {name for name, state in states.items() if state == "reused"} == set(UNTIL_DECIDED)
    # What looks outside, or changes it, is done each time.
    assert {name for name, state in states.items() if state == "done"} == {"register", "record"}
    assert first["join"] == second["join"]
    # Another input, or a result that was deleted, is other work.
    Path(first["join"]["artifacts"]["data"]).unlink()
    _, reader, _ = run(settings, says="pass")
    assert {name: reader.steps[name].state for name in UNTIL_DECIDED} == {
        "make": "reused", "listen": "reused", "listen-2": "reused", "join": "done",
        "decide": "done",
    }  # fmt: skip
    _, reader, _ = run(settings, says="inconclusive")
    assert all(step.state == "done" for step in reader.steps.values())


def kill_run(settings: Settings) -> None:
    """SIGKILL to the run that goes on, and all its steps: no handler can run."""
    request = max(settings.runs.glob("*/request.json"), key=lambda path: path.stat().st_mtime_ns)
    found = subprocess.run(
        ["pgrep", "-f", f"pipelines.runners.local_process {request.resolve()}"],
        capture_output=True,
        text=True,
        check=True,
    )
    os.killpg(int(found.stdout.split()[0]), signal.SIGKILL)


def test_a_run_killed_in_every_step_goes_on_there(settings: Settings) -> None:
    """Killed in each step in turn, begun again each time: every step is finished once."""
    ends: list[str] = []
    killed: set[str] = set()
    left: dict[str, dict[str, Any]] = {}
    for _ in range(len(UNTIL_DECIDED) + 1):
        alive = True

        def watch(step: Step) -> None:
            nonlocal alive
            if step.state == "done":
                ends.append(step.name)
            elif alive and step.name in UNTIL_DECIDED and step.name not in killed:
                alive = False
                killed.add(step.name)
                kill_run(settings)

        try:
            _, _, left = run(settings, watch, says="pass", wanted=True)
        except StepFailed as failure:
            assert not alive
            assert "was killed by SIGKILL" in str(failure)
    assert killed == set(UNTIL_DECIDED)
    assert sorted(ends) == sorted([*UNTIL_DECIDED, "register", "promote", "record"])
    assert Path(left["join"]["artifacts"]["data"]).read_text() == "pass"


def test_a_failing_step_fails_the_run(settings: Settings) -> None:
    with pytest.raises(StepFailed, match=r"^step decide failed: RuntimeError: boom") as caught:
        run(settings, says="boom")
    assert caught.value.step == "decide"
    assert any("about to fall" in line for line in caught.value.tail)
    assert "\n" not in str(caught.value)
    assert "about to fall" in caught.value.log.read_text()
    assert record(settings) == "FAILED"
    assert not list(settings.runs.glob("*/tiny-*/register"))


@pytest.mark.parametrize(
    ("says", "kind", "words"),
    [
        ("input", InputError, "x.wav: is empty; record something"),
        ("raced", Refused, "version 2 is not in production: bob was faster"),
    ],
)
def test_a_step_s_own_words_come_through(
    says: str, kind: type[Exception], words: str, settings: Settings
) -> None:
    with pytest.raises(kind) as caught:
        run(settings, says=says)
    assert str(caught.value) == words


def test_wrong_input_is_not_tried_again(settings: Settings) -> None:
    """The step has three retries left, a minute apart."""
    seen: list[Step] = []
    with pytest.raises(InputError):
        run(settings, seen.append, says="input")
    assert [step.state for step in seen if step.name == "decide"] == ["running", "failed"]


def test_a_full_disk_is_one_line_and_with_room_the_run_goes_on_there(tmp_path: Path) -> None:
    script = [sys.executable, "-m", "tests.pipelines.runners.full_disk"]
    done = subprocess.run(
        on_small_disk(tmp_path, 10, [*script, tmp_path]),
        env=os.environ | {"PYTHONPATH": f"{HERE}:{ROOT}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert re.search(r"^step decide: the disk is full: .*start again: .* goes on", said["told"])
    assert "\n" not in said["told"]
    assert said["registered"] == 0
    states = said["states"]
    assert {name for name, state in states.items() if state == "done"} == {
        "decide", "register", "record",
    }  # fmt: skip
    assert {states[name] for name in ("make", "listen", "listen-2", "join")} == {"reused"}


def test_mlflow_away_in_the_middle_is_one_line_and_the_run_goes_on_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    away = Settings(home=home, mlflow_uri="http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"^MLflow at .*:9: does not answer") as told:
        run(away, says="pass", wanted=True)
    assert "\n" not in str(told.value)
    assert not list(away.runs.glob("*/tiny-*/promote"))
    _, reader, left = run(Settings(home=home), says="pass", wanted=True)
    assert {reader.steps[name].state for name in UNTIL_DECIDED} == {"reused"}
    assert left["promote"]["parameters"] == {"Output": 8}


def test_a_lost_output_is_noticed(settings: Settings) -> None:
    with pytest.raises(StepFailed, match=r"step make failed: .* left no lost"):
        run(settings, says="lost")


def test_a_pipeline_that_cannot_start(settings: Settings) -> None:
    with pytest.raises(StepFailed, match="no_such_module") as caught:
        run_pipeline("no_such_module:tiny", PROFILE, {}, settings)
    assert caught.value.step == ""


def test_an_interrupt_ends_every_step(settings: Settings) -> None:
    """As Ctrl-C does: an exception in the middle of a step."""

    def interrupt(step: Step) -> None:
        if step.name == "decide":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_pipeline(
            "tiny_pipeline:tiny_pipeline", PROFILE, {"says": "hang"}, settings, on_step=interrupt
        )
    left = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert not [line for line in left if str(settings.runs.resolve()) in line]


def test_reading_a_log() -> None:
    reader = LogReader()
    lines = [
        "12:00:00.000 - INFO - Running pipeline: 'tiny'",
        "------------",
        Step("train", "running").line(),
        "    [KFP Executor 2026-01-01 INFO]: Looking for component",
        "    epoch 1",
        f"    {Step('no such step', 'running').line()}",
        "    Traceback (most recent call last):",
        "    ValueError: too loud",
        Step("train", "failed", 2.5).line(),
        "12:00:01.100 - INFO - Executing task 'record'",
        Step("record", "running").line(),
        "    all noted",
        Step("record", "done", 0.5).line(),
    ]
    told = [step for line in lines if (step := reader.read(line + "\n"))]
    assert [(s.name, s.state) for s in told] == [
        ("train", "running"),
        ("train", "failed"),
        ("record", "running"),
        ("record", "done"),
    ]
    assert reader.failed() == Step("train", "failed", 2.5)
    assert reader.tail("record") == ("    all noted",)
    assert last_words(reader.tail("train")) == "ValueError: too loud"
    assert last_words([]) == "it said nothing"
    assert last_words(["first", "Killed", ""]) == "Killed"


def test_the_commit_is_known() -> None:
    commit = git_commit().removesuffix("-dirty")
    assert len(commit) == 40 and set(commit) <= set("0123456789abcdef")
