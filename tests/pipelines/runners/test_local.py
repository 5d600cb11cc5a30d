"""The local runner: branches are taken, failures are reported, nothing stays behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.base import Event, InputError, MoodlineError, Refused, StepFailed
from components.config import Settings, load_profile
from pipelines.definitions.code_version import ROOT, git_commit
from pipelines.runners.local import OnStep, PipelineRun, run_pipeline
from tests.small_disk import on_small_disk

HERE = Path(__file__).parent
PROFILE = load_profile("tiny")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture(autouse=True)
def tiny_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def run(settings: Settings, on_step: OnStep | None = None, **arguments: Any) -> PipelineRun:
    return run_pipeline(
        "tiny_pipeline:tiny_pipeline", PROFILE, arguments, settings, on_step=on_step
    )


def record(settings: Settings) -> str:
    """What the exit handler wrote down."""
    (note,) = settings.runs.glob("*/tiny-*/record/note")
    return note.read_text()


UNTIL_DECIDED = ["make", "listen", "listen-2", "join", "decide"]


def test_a_pass_is_registered_and_promoted(settings: Settings) -> None:
    seen: list[Event] = []
    done = run(settings, seen.append, says="pass", wanted=True)
    assert sorted(done.steps) == sorted([*UNTIL_DECIDED, "register", "promote", "record"])
    assert list(done.steps)[-4:] == ["decide", "register", "promote", "record"]
    for name in done.steps:
        assert [event.state for event in seen if event.step == name] == ["running", "done"]
    assert done.outputs["promote"]["parameters"] == {"Output": 8}
    assert Path(done.outputs["join"]["artifacts"]["data"]).read_text() == "pass"
    # The steps saw the settings, absolute, wherever they ran.
    assert done.outputs["make"]["parameters"]["Output"] == str(settings.home.resolve())
    assert done.folder.parent == settings.runs.resolve()
    assert (done.folder / "run.log").stat().st_size
    assert record(settings) == "SUCCEEDED"


def test_a_refusal_is_no_failure(settings: Settings) -> None:
    steps = run(settings, says="fail", wanted=True).steps
    assert list(steps)[-3:] == ["decide", "refuse", "record"]
    assert all(event.state == "done" for event in steps.values())


def test_an_open_question_is_not_promoted(settings: Settings) -> None:
    steps = run(settings, says="inconclusive", wanted=True).steps
    assert list(steps)[-3:] == ["decide", "register", "record"]


def test_what_was_done_before_is_not_done_again(settings: Settings) -> None:
    first, second = run(settings, says="pass"), run(settings, says="pass")
    states = {name: event.state for name, event in second.steps.items()}
    assert {name for name, state in states.items() if state == "reused"} == set(UNTIL_DECIDED)
    # What looks outside, or changes it, is done each time.
    assert {name for name, state in states.items() if state == "done"} == {"register", "record"}
    assert first.outputs["join"] == second.outputs["join"]
    # Another input, or a result that was deleted, is other work.
    Path(first.outputs["join"]["artifacts"]["data"]).unlink()
    steps = run(settings, says="pass").steps
    assert {name: steps[name].state for name in UNTIL_DECIDED} == {
        "make": "reused", "listen": "reused", "listen-2": "reused", "join": "done",
        "decide": "done",
    }  # fmt: skip
    steps = run(settings, says="inconclusive").steps
    assert all(event.state == "done" for event in steps.values())


def kill_run(settings: Settings) -> None:
    """SIGKILL to the run that goes on, and all its steps: no handler can run."""
    request = max(settings.runs.glob("*/request.json"), key=lambda path: path.stat().st_mtime_ns)
    processes = subprocess.run(
        ["pgrep", "-f", f"pipelines.runners.local_process {request.resolve()}"],
        capture_output=True,
        text=True,
        check=True,
    )
    os.killpg(int(processes.stdout.split()[0]), signal.SIGKILL)


def test_a_run_killed_in_every_step_goes_on_there(settings: Settings) -> None:
    """Killed in each step in turn, begun again each time: every step is finished once."""
    ends: list[str] = []
    killed: set[str] = set()
    outputs: dict[str, dict[str, Any]] = {}
    for _ in range(len(UNTIL_DECIDED) + 1):
        alive = True

        def watch(event: Event) -> None:
            nonlocal alive
            if event.state == "done":
                ends.append(event.step)
            elif alive and event.step in UNTIL_DECIDED and event.step not in killed:
                alive = False
                killed.add(event.step)
                kill_run(settings)

        try:
            outputs = run(settings, watch, says="pass", wanted=True).outputs
        except StepFailed as failure:
            assert not alive
            assert "was killed by SIGKILL" in str(failure)
    assert killed == set(UNTIL_DECIDED)
    assert sorted(ends) == sorted([*UNTIL_DECIDED, "register", "promote", "record"])
    assert Path(outputs["join"]["artifacts"]["data"]).read_text() == "pass"


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
    seen: list[Event] = []
    with pytest.raises(InputError):
        run(settings, seen.append, says="input")
    states = [(event.state, bool(event.error)) for event in seen if event.step == "decide"]
    assert states == [("running", False), ("running", True), ("failed", True)]


def test_a_full_disk_is_one_line_and_with_room_the_run_goes_on_there(tmp_path: Path) -> None:
    script = [sys.executable, "-m", "tests.pipelines.runners.full_disk"]
    done = subprocess.run(
        on_small_disk(tmp_path, 10, [*script, tmp_path]),
        env=os.environ | {"PYTHONPATH": f"{HERE}:{ROOT}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert re.search(r"^step decide: the disk is full: .*start again: .* goes on", said["message"])
    assert "\n" not in said["message"]
    assert said["registered"] == 0
    states = said["states"]
    assert {name for name, state in states.items() if state == "done"} == {
        "decide", "register", "record",
    }  # fmt: skip
    assert {states[name] for name in ("make", "listen", "listen-2", "join")} == {"reused"}


def test_mlflow_away_in_the_middle_is_one_line_and_the_run_goes_on_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    away = Settings(home=home, mlflow_uri="http://127.0.0.1:9")
    with pytest.raises(MoodlineError, match=r"^MLflow at .*:9: does not answer") as caught:
        run(away, says="pass", wanted=True)
    assert "\n" not in str(caught.value)
    assert not list(away.runs.glob("*/tiny-*/promote"))
    done = run(Settings(home=home), says="pass", wanted=True)
    assert {done.steps[name].state for name in UNTIL_DECIDED} == {"reused"}
    assert done.outputs["promote"]["parameters"] == {"Output": 8}


def test_a_lost_output_is_noticed(settings: Settings) -> None:
    with pytest.raises(StepFailed, match=r"step make failed: .* left no lost"):
        run(settings, says="lost")


def test_a_pipeline_that_cannot_start(settings: Settings) -> None:
    with pytest.raises(StepFailed, match="no_such_module") as caught:
        run_pipeline("no_such_module:tiny", PROFILE, {}, settings)
    assert caught.value.step == ""


def test_an_interrupt_ends_every_step(settings: Settings) -> None:
    """As Ctrl-C does: an exception in the middle of a step."""

    def interrupt(event: Event) -> None:
        if event.step == "decide":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_pipeline(
            "tiny_pipeline:tiny_pipeline", PROFILE, {"says": "hang"}, settings, on_step=interrupt
        )
    left = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert not [line for line in left if str(settings.runs.resolve()) in line]


def test_a_run_ends_when_whoever_started_it_is_killed(settings: Settings) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from components.config import Settings, load_profile\n"
        "from pipelines.runners.local import run_pipeline\n"
        "run_pipeline('tiny_pipeline:tiny_pipeline', load_profile('tiny'), {'says': 'hang'},"
        " Settings(home=Path(sys.argv[1])), on_step=lambda event: print(event.step, flush=True))"
    )
    path = f"{HERE}:{ROOT}"
    with subprocess.Popen(
        [sys.executable, "-c", code, settings.home],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path},
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        assert "decide" in (line.strip() for line in parent.stdout)
        parent.kill()
    runs = str(settings.runs.resolve())
    while runs in subprocess.check_output(["ps", "-eo", "args"], text=True):
        time.sleep(0.1)


def test_the_commit_is_known() -> None:
    commit = git_commit().removesuffix("-dirty")
    assert len(commit) == 40 and set(commit) <= set("0123456789abcdef")
