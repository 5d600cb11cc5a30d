"""The local runner: branches are taken, failures are told, nothing stays behind."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.conversation import InputError
from components.profile import Settings
from components.register import Refused
from pipelines.runner import StepFailed, git_commit, run_pipeline
from pipelines.steps import LogReader, Step, last_words

HERE = Path(__file__).parent


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture(autouse=True)
def tiny_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def run(settings: Settings, **arguments: Any) -> tuple[Path, LogReader, dict[str, dict[str, Any]]]:
    return run_pipeline("tiny_pipeline:tiny", arguments, settings)


def record(settings: Settings) -> str:
    """What the exit handler wrote down."""
    (note,) = settings.runs.glob("*/tiny-*/record/note")
    return note.read_text()


def test_a_pass_is_registered_and_promoted(settings: Settings) -> None:
    seen: list[Step] = []
    folder, reader, left = run_pipeline(
        "tiny_pipeline:tiny", {"says": "pass", "wanted": True}, settings, on_step=seen.append
    )
    assert list(reader.steps) == ["make", "decide", "register", "promote", "record"]
    assert [(step.name, step.state) for step in seen] == [
        (name, state) for name in reader.steps for state in ("running", "done")
    ]
    assert left["promote"]["parameters"] == {"Output": 8}
    assert Path(left["make"]["artifacts"]["data"]).read_text() == "pass"
    # The steps saw the settings, absolute, wherever they ran.
    assert left["make"]["parameters"]["Output"] == str(settings.home.resolve())
    assert folder.parent == settings.runs.resolve()
    assert (folder / "run.log").stat().st_size
    assert record(settings) == "SUCCEEDED"


def test_a_refusal_is_no_failure(settings: Settings) -> None:
    _, reader, _ = run(settings, says="fail", wanted=True)
    assert list(reader.steps) == ["make", "decide", "refuse", "record"]
    assert all(step.state == "done" for step in reader.steps.values())


def test_an_open_question_is_not_promoted(settings: Settings) -> None:
    _, reader, _ = run(settings, says="inconclusive", wanted=True)
    assert list(reader.steps) == ["make", "decide", "register", "record"]


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


def test_a_lost_output_is_noticed(settings: Settings) -> None:
    with pytest.raises(StepFailed, match=r"step make failed: .* left no lost"):
        run(settings, says="lost")


def test_a_pipeline_that_cannot_start(settings: Settings) -> None:
    with pytest.raises(StepFailed, match="no_such_module") as caught:
        run_pipeline("no_such_module:tiny", {}, settings)
    assert caught.value.step == ""


def test_a_killed_run_says_so(settings: Settings) -> None:
    def kill(step: Step) -> None:
        if step.name == "decide" and step.state == "running":
            (request,) = settings.runs.glob("*/request.json")
            found = subprocess.run(
                ["pgrep", "-f", f"pipelines.local {request.resolve()}"],
                capture_output=True,
                text=True,
                check=True,
            )
            os.killpg(int(found.stdout.split()[0]), signal.SIGKILL)

    with pytest.raises(StepFailed, match="step decide failed: the run was killed by SIGKILL"):
        run_pipeline("tiny_pipeline:tiny", {"says": "hang"}, settings, on_step=kill)


def test_an_interrupt_ends_every_step(settings: Settings) -> None:
    """As Ctrl-C does: an exception in the middle of a step."""

    def interrupt(step: Step) -> None:
        if step.name == "decide":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_pipeline("tiny_pipeline:tiny", {"says": "hang"}, settings, on_step=interrupt)
    left = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert not [line for line in left if str(settings.runs.resolve()) in line]


def test_reading_a_log() -> None:
    reader = LogReader()
    lines = """\
12:00:00.000 - INFO - Running pipeline: 'tiny'
------------
12:00:00.100 - INFO - Executing task \x1b[96m'train'\x1b[0m
12:00:00.100 - INFO - Streamed logs:

    [KFP Executor 2026-01-01 INFO]: Looking for component
    epoch 1
    12:00:00.100 - INFO - Executing task 'no such step'
    Traceback (most recent call last):
    ValueError: too loud
12:00:01.000 - ERROR - Task \x1b[96m'train'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m
12:00:01.100 - INFO - Executing task 'record'
    all noted
12:00:02.000 - INFO - Task 'record' finished with status SUCCESS
""".splitlines()
    told = [step for line in lines if (step := reader.read(line))]
    assert [(s.name, s.state) for s in told] == [
        ("train", "running"),
        ("train", "failed"),
        ("record", "running"),
        ("record", "done"),
    ]
    failed = reader.failed()
    assert failed is not None and failed.name == "train"
    assert last_words(reader.tail("train")) == "ValueError: too loud"
    assert last_words([]) == "it said nothing"
    assert last_words(["first", "Killed", ""]) == "Killed"


def test_the_commit_is_known() -> None:
    commit = git_commit().removesuffix("-dirty")
    assert len(commit) == 40 and set(commit) <= set("0123456789abcdef")
