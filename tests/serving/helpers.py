"""What several tests of the service share."""

import io
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import soundfile

from serving.api.job_store import new_id
from serving.processes import free_ports
from serving.supervisor.serve import Serving

MEGABYTES = 8
SECONDS = 60
SHORT = 20
LEASE = 3.0


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    """Samples as a WAV file of floats."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def metric(url: str, name: str) -> float:
    """The sum of a metric's series whose lines begin like that."""
    lines = httpx.get(f"{url}/metrics", timeout=10).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Whether it becomes true in time: a minute on a slow machine, unless time is the point."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def start_log_service(home: Path, **more: str) -> "tuple[subprocess.Popen[bytes], str]":
    """`log_service.py` with that home and more settings; its process and its address."""
    (port,) = free_ports(1)
    script = Path(__file__).with_name("log_service.py")
    root = script.parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "MOODLINE_HOME": str(home),
        "OMP_NUM_THREADS": "1",
        **more,
    }
    child = subprocess.Popen([sys.executable, script, str(port)], env=environment, cwd=root)
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.get(f"{url}/openapi.json")
            return child, url
        except httpx.TransportError:
            assert child.poll() is None
            time.sleep(0.1)
    child.kill()
    raise TimeoutError


@contextmanager
def running_postgres() -> "Iterator[tuple[str, subprocess.Popen[bytes]]]":
    """A cluster of our own: its URL and its process. PostgreSQL refuses to run as root."""
    bins = Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip())
    folder = Path("/tmp") / f"moodline-postgres-{new_id()[:8]}"
    folder.mkdir(mode=0o700)
    user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    shutil.chown(folder, user)
    become = ["setpriv", f"--reuid={user}", "--clear-groups"] if os.getuid() == 0 else []
    data, port = folder / "data", free_ports(1)[0]
    initdb = [*become, bins / "initdb", "-D", data, "-A", "trust", "-U", "moodline", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/")
    options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    server = subprocess.Popen(
        [*become, bins / "postgres", "-D", data, *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    try:
        ask = [bins / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ask, check=False).returncode:
            assert server.poll() is None, "PostgreSQL ended while it started"
            time.sleep(0.1)
        yield f"postgresql+psycopg2://moodline@127.0.0.1:{port}/postgres", server
    finally:
        server.send_signal(signal.SIGINT)  # without waiting for clients
        server.wait(20)
        shutil.rmtree(folder)


def worker(service: Serving) -> psutil.Process:
    """The process that answers; BentoML starts it."""
    assert service._service
    family = psutil.Process(service._service.pid).children(recursive=True)
    return next(one for one in family if "_bentoml_impl.worker.service" in one.cmdline())


def post(service: Serving, path: str, **request: Any) -> httpx.Response:
    """What the service answers to a request that is sent to `/v1/<path>`."""
    return httpx.post(f"{service.url}/v1/{path}", **{"timeout": 120, **request})


def upload(content: bytes, name: str = "a.wav") -> list[tuple[str, tuple[str, bytes]]]:
    """The multipart field of a recording."""
    return [("audio", (name, content))]


def heard(service: Serving, stage: str) -> float:
    """How many recordings have gone through a stage."""
    return metric(service.url, f'moodline_stage_seconds_count{{stage="{stage}"}}')
