"""Steps in forks: they print, end and fail as in processes of their own, and nothing stays."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from kfp.local.subprocess_task_handler import run_local_subprocess

from pipelines.runners import forked
from pipelines.runners.forked import ForkedSteps, parse


@dsl.component(base_image="python", install_kfp_package=False)
def say(says: str, told: dsl.Output[dsl.Dataset]) -> str:
    """Prints, writes its output, and ends in one of several ways."""
    import atexit
    import os
    import signal
    import sys
    from pathlib import Path

    atexit.register(print, "the end")
    print(says, os.environ["OF_THE_STEP"])
    print("an error's line", file=sys.stderr)
    Path(told.path).write_text(says)
    if says == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if says == "fails":
        raise RuntimeError("boom")
    return f"{os.getppid()} {'colorsys' in sys.modules}"


def command(folder: Path, says: str) -> list[str]:
    """What kfp runs for that step, and the name that the local runner gives it."""
    container: Any = say.component_spec.implementation.container  # type: ignore[attr-defined]
    given = f"""{{"inputs": {{"parameterValues": {{"says": "{says}"}}}}, "outputs": {{
        "artifacts": {{"told": {{"artifacts": [{{"name": "told", "uri": "{folder}/told",
            "type": {{"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}}}]}}}},
        "outputFile": "{folder}/output.json"}}}}"""
    words = [str(part) for part in container.command]
    words = [w.replace("-m kfp", "-m components.base.step say-2 kfp") for w in words]
    words = [w.replace("python3", sys.executable) for w in words]
    return [*words, "--executor_input", given, "--function_to_execute", "say"]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], AbstractContextManager[Any]]]:
    """A fork server that imports next to nothing; pytest's own stays as it is."""
    monkeypatch.setattr(forkserver, "_forkserver", forkserver.ForkServer())
    for name in ("ensure_running", "connect_to_new_process", "set_forkserver_preload"):
        monkeypatch.setattr(forkserver, name, getattr(forkserver._forkserver, name))  # type: ignore[attr-defined]
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    yield lambda: ForkedSteps(run_local_subprocess, "colorsys")


def until_ready(steps: Any) -> None:
    assert steps._ready.wait(60)


@pytest.mark.parametrize("forks", [True, False])
def test_a_step_prints_and_leaves_the_same_in_a_fork(
    steps: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], forks: bool
) -> None:
    with steps() as running:
        if forks:
            until_ready(running)
        run = running.run if forks else run_local_subprocess
        status = run(full_command=command(tmp_path, "hello"), env_vars={"OF_THE_STEP": "there"})
    assert status == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.index("hello there") < lines.index("an error's line") < lines.index("the end")
    assert (tmp_path / "told").read_text() == "hello"
    answer = (tmp_path / "output.json").read_text()
    assert ("True" in answer) == forks, "it has what the server imported"


@pytest.mark.parametrize("says", ["fails", "killed"])
def test_one_that_fails_is_told_and_the_next_begins(
    steps: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], says: str
) -> None:
    with steps() as running:
        until_ready(running)
        more = {"OF_THE_STEP": "so"}
        assert running.run(command(tmp_path, says), more) == {"fails": 1, "killed": -9}[says]
        assert ("RuntimeError: boom" in capsys.readouterr().out) == (says == "fails")
        assert running.run(command(tmp_path, "well"), more) == 0
    assert "OF_THE_STEP" not in os.environ


def test_until_it_is_ready_and_where_there_is_a_gpu_steps_are_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[Any] = []

    def run(**command: Any) -> int:
        alone.append(command)
        return 7

    monkeypatch.setattr(forked, "has_gpu", lambda: True)
    with ForkedSteps(run) as running:
        assert running.run(["sh", "-c", "true"], {"A": "1"}) == 7
        assert not running._ready.is_set()
    assert alone == [{"full_command": ["sh", "-c", "true"], "env_vars": {"A": "1"}}]


def test_a_server_that_cannot_import_leaves_steps_alone_and_ends(
    steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "falls.py").write_text("raise RuntimeError('no')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ForkedSteps(run_local_subprocess, "falls") as running:
        deadline = time.monotonic() + 60
        while (server := forkserver._forkserver._forkserver_pid) is None:  # type: ignore[attr-defined]
            assert time.monotonic() < deadline
        assert not running._ready.wait(3)
        assert running.run(command(tmp_path, "hello"), {"OF_THE_STEP": "x"}) == 0
    assert "hello" in (tmp_path / "told").read_text() and server


def test_the_server_is_gone_afterwards(steps: Any) -> None:
    with steps() as running:
        until_ready(running)
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    assert os.waitpid(server, 0)[1] == 9
    assert not multiprocessing.active_children()


def test_another_command_is_none_of_them() -> None:
    assert parse(["sh", "-c", "python3 -m kfp.dsl.executor_main"]) is None
    assert parse([]) is None


def test_all_that_is_named_can_be_imported() -> None:
    """In one process, as the server does, and without what would not survive a fork."""
    code = "import pipelines.runners.preloaded, torch; assert not torch.cuda.is_initialized()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True)
