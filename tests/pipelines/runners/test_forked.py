"""Steps in forks: they print, end and fail as in processes of their own, and nothing stays."""

import ast
import errno
import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import psutil
import pytest
from kfp import dsl
from kfp.local.subprocess_task_handler import run_local_subprocess

from pipelines.runners import forked
from pipelines.runners.forked import ForkedSteps, parse


@dsl.component(base_image="python", install_kfp_package=False)
def say(says: str, written: dsl.Output[dsl.Dataset]) -> str:
    """Prints, writes its output, and ends in one of several ways."""
    import atexit
    import multiprocessing
    import os
    import signal
    import sys
    import time
    from pathlib import Path

    atexit.register(print, "the end")
    print(says, os.environ["OF_THE_STEP"])
    print("an error's line", file=sys.stderr)
    Path(written.path).write_text(says)
    if says == "slow":
        time.sleep(0.3)
    if says == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if says == "fails":
        raise RuntimeError("boom")
    return f"{'kfp.compiler' in sys.modules} {multiprocessing.get_start_method()}"


def command(folder: Path, says: str) -> list[str]:
    """What kfp runs for that step, and the name that the local runner gives it."""
    container: Any = say.component_spec.implementation.container  # type: ignore[attr-defined]
    given = f"""{{"inputs": {{"parameterValues": {{"says": "{says}"}}}}, "outputs": {{
        "artifacts": {{"written": {{"artifacts": [{{"name": "written", "uri": "{folder}/written",
            "type": {{"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}}}]}}}},
        "outputFile": "{folder}/output.json"}}}}"""
    words = [str(part) for part in container.command]
    words = [w.replace("-m kfp", "-m components.base.step say-2 kfp") for w in words]
    words = [w.replace("python3", sys.executable) for w in words]
    return [*words, "--executor_input", given, "--function_to_execute", "say"]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], AbstractContextManager[Any]]]:
    """A fork server that imports only what steps themselves do not; pytest's own stays as it is."""
    monkeypatch.setattr(forkserver, "_forkserver", forkserver.ForkServer())
    for name in ("ensure_running", "connect_to_new_process", "set_forkserver_preload"):
        monkeypatch.setattr(forkserver, name, getattr(forkserver._forkserver, name))  # type: ignore[attr-defined]
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    yield lambda: ForkedSteps(run_local_subprocess, "kfp.compiler")


def until_ready(steps: Any) -> None:
    steps.prepare()
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
    assert (tmp_path / "written").read_text() == "hello"
    answer = (tmp_path / "output.json").read_text()
    assert ("True" in answer) == forks, "it has what the server imported"
    assert "fork" in answer and "forkserver" not in answer, "what a step starts is as ever"


@pytest.mark.parametrize("says", ["fails", "killed"])
def test_one_that_fails_is_told_and_the_next_begins(
    steps: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], says: str
) -> None:
    with steps() as running:
        until_ready(running)
        more = {"OF_THE_STEP": "so"}
        assert running.run(command(tmp_path, says), more) == {"fails": 1, "killed": -9}[says]
        printed = capsys.readouterr().out
        assert ("RuntimeError: boom" in printed) == ("Traceback" in printed) == (says == "fails")
        assert "ForkServerProcess" not in printed, "the step tells it itself"
        assert running.run(command(tmp_path, "well"), more) == 0
    assert "OF_THE_STEP" not in os.environ


def test_a_slow_step_has_the_server_made_and_no_other_does(
    steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"OF_THE_STEP": "x"}
    with steps() as running:
        assert running.run(command(tmp_path, "hello"), more) == 0
        assert not running._ready.wait(1), "it imports little"
        assert "False" in (tmp_path / "output.json").read_text()
        monkeypatch.setattr(forked, "SLOW", ("say",))
        assert running.run(command(tmp_path, "hello"), more) == 0
        assert running._ready.wait(60)
        assert running.run(command(tmp_path, "hello"), more) == 0
        assert "True" in (tmp_path / "output.json").read_text()


def test_where_there_is_a_gpu_steps_are_alone(
    steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gpu").touch()
    monkeypatch.setattr(forked, "GPUS", ("/dev/none", str(tmp_path / "gpu")))
    monkeypatch.setattr(forked, "SLOW", ("say",))
    with steps() as running:
        for _ in range(2):
            assert running.run(command(tmp_path, "hello"), {"OF_THE_STEP": "x"}) == 0
            assert not running._ready.wait(1)
            assert "False" in (tmp_path / "output.json").read_text()
    assert forkserver._forkserver._forkserver_pid is None  # type: ignore[attr-defined]


def test_steps_of_many_shards_side_by_side_end_as_they_do(steps: Any, tmp_path: Path) -> None:
    def shard(number: int) -> int:
        folder = tmp_path / str(number)
        folder.mkdir()
        says = ("hello", "fails", "killed")[number % 3]
        status: int = running.run(command(folder, says), {"OF_THE_STEP": "x"})
        return status

    with steps() as running, ThreadPoolExecutor(4) as pool:
        until_ready(running)
        assert list(pool.map(shard, range(12))) == [0, 1, -9] * 4


def test_the_end_of_one_is_not_lost_where_another_begins(
    steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that do nothing end while others begin, in other threads: each ends with its status."""
    monkeypatch.setattr(forked, "_run", print)
    step = command(tmp_path, "hello")
    with steps() as running, ThreadPoolExecutor(4) as pool:
        until_ready(running)
        assert list(pool.map(running.run, [step] * 120)) == [0] * 120


def test_a_step_is_waited_for_where_nothing_can_be_printed(
    steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with steps() as running:
        until_ready(running)
        monkeypatch.setattr("builtins.print", full)
        with pytest.raises(OSError, match="No space left"):
            running.run(command(tmp_path, "slow"), {"OF_THE_STEP": "x"})
        assert not [c for c in multiprocessing.active_children() if not c.daemon]


def test_a_server_that_cannot_import_leaves_steps_alone_and_ends(
    steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "falls.py").write_text("raise RuntimeError('no')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ForkedSteps(run_local_subprocess, "falls") as running:
        running.prepare()
        deadline = time.monotonic() + 60
        while (server := forkserver._forkserver._forkserver_pid) is None:  # type: ignore[attr-defined]
            assert time.monotonic() < deadline
        assert not running._ready.wait(3)
        assert running.run(command(tmp_path, "hello"), {"OF_THE_STEP": "x"}) == 0
    assert "hello" in (tmp_path / "written").read_text()
    assert not psutil.pid_exists(server)


def test_the_server_is_gone_afterwards(steps: Any) -> None:
    with steps() as running:
        until_ready(running)
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    assert not psutil.pid_exists(server)
    assert not multiprocessing.active_children()


def test_another_command_is_none_of_them() -> None:
    assert parse(["sh", "-c", "python3 -m kfp.dsl.executor_main"]) is None
    assert parse([]) is None


def test_all_that_is_named_is_there() -> None:
    """The server goes on without what it cannot import."""
    for name in preloaded_names():
        top, *parts = name.split(".")
        spec = importlib.util.find_spec(top)
        assert spec is not None and spec.submodule_search_locations, name
        places = [Path(place, *parts) for place in spec.submodule_search_locations]
        assert any(p.is_dir() or p.with_suffix(".py").is_file() for p in places), name


def preloaded_names() -> tuple[str, ...]:
    """`MODULES` of what the server imports, without importing them."""
    spec = importlib.util.find_spec(forked.PRELOADED)
    assert spec is not None and spec.origin is not None
    (names,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(Path(spec.origin).read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "MODULES"
    )
    assert len(names) > 10
    return tuple(names)
