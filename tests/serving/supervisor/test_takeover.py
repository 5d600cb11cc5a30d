"""Two copies on shared Tritons: one steers, and another goes on when it dies."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from components.config import Settings
from components.register import promote
from serving.lineup import read_pointer
from serving.settings import TrafficSettings
from serving.supervisor.backend import Backend, pointer_path
from serving.triton.environment import TritonEnvironment
from serving.triton.server import TritonServer
from tests.serving.load import Alone, Load, wait_until
from tests.serving.steered import HOST
from tests.serving.versions import add, as_version

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

FOLLOW = 0.2

STEER = """
import json, sys, time
from pathlib import Path
from tests.serving.supervisor.test_takeover import copy
home, repository, url = json.loads(sys.argv[1])
backend, _ = copy(Path(home), Path(repository), url)
backend.serve()
time.sleep(100)
"""


def copy(home: Path, repository: Path, url: str) -> tuple[Backend, Settings]:
    """What steers the Tritons in one `moodline serve`, started."""
    settings = Settings(home=home, model_repository=repository, triton_url=url)
    traffic = TrafficSettings(follow_seconds=FOLLOW, watch_seconds=0.3, grace_seconds=0.5)
    backend = Backend(settings, pointer_path(settings, 0), traffic=traffic, host=HOST)
    backend.start()
    return backend, settings


def hold_still(process: subprocess.Popen[bytes], database: Path) -> None:
    """Stop a process that reads a SQLite file, at a moment when it holds no lock of it: nobody
    could write while it stands."""

    def held() -> bool:
        process.send_signal(signal.SIGSTOP)
        stopped = psutil.STATUS_STOPPED
        assert wait_until(lambda: psutil.Process(process.pid).status() == stopped, 5)
        try:
            with closing(sqlite3.connect(database, timeout=0)) as alone:
                alone.execute("BEGIN EXCLUSIVE")
            return True
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            return False

    assert wait_until(held, 60)


def test_another_copy_goes_on_when_the_one_that_steers_is_killed(
    make_model: Callable[[Path, int], Path], alone: Alone, tmp_path: Path
) -> None:
    environment = TritonEnvironment(Settings().triton_env.resolve())
    with TritonServer(environment, tmp_path / "repository", tmp_path / "log") as triton:
        shared = (tmp_path / "home", tmp_path / "repository", triton.grpc_url)
        second, settings = copy(*shared)
        folders = {seed: as_version(make_model(tmp_path / str(seed), seed)) for seed in (1, 2)}
        assert [add(folder, settings) for folder in folders.values()] == [1, 2]
        promote(1, settings, actor="a test")
        pointer = pointer_path(settings, 0)

        def production() -> int:
            return read_pointer(pointer).production.version

        told = json.dumps([*map(str, shared)])
        first = subprocess.Popen([sys.executable, "-c", STEER, told])
        try:
            assert wait_until(pointer.exists, 60)
            second.serve()
            with Load(triton.grpc_url, pointer, folders, alone) as load:
                hold_still(first, settings.home / "mlflow.db")
                promote(2, settings, actor="a test")
                assert not wait_until(lambda: production() == 2, 10 * FOLLOW), "one steers"
                first.kill()
                assert wait_until(lambda: production() == 2, 60)
                assert wait_until(lambda: load.seen.answered[2] > 20, 60)
        finally:
            first.kill()
            first.wait()
            second.stop()
    assert not load.seen.failed
    assert load.seen.wrong == 0
