"""What `moodline serve` leaves running when it ends: nothing, however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from components.base import InputError
from components.config import Settings, load_profile
from serving.lineup import Served
from serving.processes import free_ports, port_is_free
from serving.supervisor.serve import Serving
from tests.serving.helpers import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

SCRIPT = """
import json, sys
from pathlib import Path
from components.config import Settings, load_profile
from serving.supervisor.serve import serve
from serving.lineup import Served
from tests.serving.helpers import wait_until
home, environment, speech, folder, port = json.loads(sys.argv[1])
settings = Settings(home=Path(home), triton_env=Path(environment), models=Path(speech))
serve(settings, load_profile("tiny"), port=port, model=Served(3, Path(folder)))
"""


def test_a_port_in_use_is_refused_before_anything_starts(
    models: dict[int, Path], tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        model = Served(3, models[3])
        serving = Serving(
            Settings(home=tmp_path), load_profile("tiny"), "localhost", port, model=model
        )
        with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port} cannot be listened on"):
            serving.start()
    assert not (tmp_path / "logs").exists()


def alive(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code < 500
    except httpx.HTTPError:
        return False


def test_a_worker_that_has_just_begun_ends_too(models: dict[int, Path], tmp_path: Path) -> None:
    """It has a session of its own, and for seconds it only imports."""
    failing, killed = (
        Serving(
            Settings(home=tmp_path / home),
            load_profile("tiny"),
            port=0,
            model=Served(3, models[3]),
        )
        for home in ("failing", "killed")
    )
    born: list[psutil.Process] = []
    try:
        for serving in (failing, killed):
            serving._start_service("127.0.0.1:1")  # nobody is there, which it finds out later
        for serving in (failing, killed):
            assert serving._service
            head = psutil.Process(serving._service.pid)
            assert wait_until(lambda head=head: len(head.children()) > 0, 60)  # type: ignore[misc]
            born += head.children()
        failing.abort_requests()  # as `start` does
        failing.stop()
        assert killed._service
        psutil.Process(killed._service.pid).kill()
        _, left = psutil.wait_procs(born, timeout=20)
        assert len(born) == 2 and not left
        assert all(port_is_free("127.0.0.1", one.port) for one in (failing, killed))
    finally:
        for serving in (failing, killed):
            serving.stop()
    assert failing._sockets and not failing._sockets.path.exists()


@pytest.mark.parametrize(
    ("how", "logs"),
    [(signal.SIGTERM, "stderr"), (signal.SIGKILL, "files")],
    ids=["asked", "killed"],
)
def test_it_ends_with_all_its_children(
    how: signal.Signals, logs: str, models: dict[int, Path], models_home: Path, tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    folders = (tmp_path, Settings().triton_env.resolve(), models_home.resolve(), models[3])
    told = json.dumps([*map(str, folders), port])
    environment = {**os.environ, "MOODLINE_SERVE_LOGS": logs}
    with (tmp_path / "said").open("wb") as said:
        command = [sys.executable, "-c", SCRIPT, told]
        process = subprocess.Popen(command, env=environment, stderr=said)
    try:
        assert wait_until(lambda: alive(port), 60)
        family = psutil.Process(process.pid).children(recursive=True)
        names = " ".join(" ".join(one.cmdline()) for one in family)
        assert "tritonserver" in names
        assert "triton_python_backend_stub" in names
        assert "_bentoml_impl.worker.service" in names
        process.send_signal(how)
        assert process.wait(40) == (-how if how is signal.SIGKILL else 0)
        assert wait_until(lambda: not any(one.is_running() for one in family), 60), family
    finally:
        process.kill()
        process.wait()
    places = {"stderr": [tmp_path / "said"], "files": [*tmp_path.glob("logs/*.log")]}[logs]
    text = "\n".join(path.read_text(errors="replace") for path in places)
    assert "Started GRPCInferenceService" in text and "Service moodline initialized" in text
    assert (tmp_path / "logs").exists() == (logs == "files")
