"""What `moodline serve` leaves behind when it ends: nothing, however it ends."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from components.profile import Settings
from serving.processes import free_ports

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

SCRIPT = """
import json, sys
from pathlib import Path
from components.profile import Settings, load_profile
from serving.serve import serve
from serving.served import Served
home, environment, folder, port = json.loads(sys.argv[1])
settings = Settings(home=Path(home), triton_env=Path(environment))
serve(settings, load_profile("demo"), port=port, model=Served(3, Path(folder)))
"""


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def alive(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code < 500
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_all_its_children(
    how: signal.Signals, models: dict[int, Path], tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    environment = Settings().triton_env.resolve()
    told = json.dumps([str(tmp_path), str(environment), str(models[3]), port])
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, told])
    try:
        assert wait_until(lambda: alive(port), 60)
        family = psutil.Process(process.pid).children(recursive=True)
        names = " ".join(" ".join(one.cmdline()) for one in family)
        assert "tritonserver" in names
        assert "triton_python_backend_stub" in names
        assert "_bentoml_impl.worker.service" in names
        process.send_signal(how)
        assert process.wait(40) == (-how if how is signal.SIGKILL else 0)
        assert wait_until(lambda: not any(one.is_running() for one in family), 20), family
    finally:
        process.kill()
        process.wait()
    assert not list(tmp_path.glob("serving/served-*")) or how is signal.SIGKILL
