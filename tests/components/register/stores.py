"""Real places for MLflow to keep things in: a PostgreSQL of our own, and a simulated S3."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from moto.server import ThreadedMotoServer

BUCKET = "moodline"


def postgres_programs() -> Path:
    """Where Debian puts PostgreSQL's server programs: the newest there are."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3])
    )
    assert installed, "PostgreSQL is not installed; infra/setup/system.sh installs it"
    return installed[-1].parent


@contextmanager
def postgres() -> Iterator[Callable[[str], str]]:
    """A PostgreSQL server that nobody else uses, on a Unix socket.

    Yields:
        A function that makes an empty database of a name and gives its address.
    """
    programs = postgres_programs()
    # pytest's folders are closed to other users, and PostgreSQL refuses to run as root.
    with tempfile.TemporaryDirectory(prefix="moodline-pg-") as name:
        folder = Path(name)
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)

        def run(program: str, *arguments: str) -> None:
            command = [programs / program, *arguments]
            subprocess.run(command, user=user, cwd=folder, check=True, capture_output=True)

        data = str(folder / "data")
        run("initdb", "-D", data, "-A", "trust", "-U", "moodline", "--locale=C", "-E", "UTF8", "-N")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": name,
            "fsync": "off",
            "max_connections": "200",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options],
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        client = ("-h", name, "-U", "moodline")
        ready = [programs / "pg_isready", *client, "-q"]
        try:
            wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, server)

            def database(title: str) -> str:
                run("createdb", *client, title)
                return f"postgresql://moodline@/{title}?host={name}"

            yield database
        finally:
            # SIGINT: it does not wait for those who are connected.
            server.send_signal(signal.SIGINT)
            server.wait(30)


@dataclass(frozen=True)
class SimulatedS3:
    """moto's S3 simulator.

    Attributes:
        environment: what leads a client to it.
    """

    environment: Mapping[str, str]

    def names(self) -> list[str]:
        """The names of all that lies in the bucket."""
        return sorted(item["Key"] for item in _client(self.environment).list_objects_v2(
            Bucket=BUCKET, MaxKeys=1000).get("Contents", []))  # fmt: skip


@contextmanager
def simulated_s3() -> Iterator[SimulatedS3]:
    """moto's S3 simulator on loopback, with one empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {
            "MLFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "simulated",
            "AWS_SECRET_ACCESS_KEY": "simulated",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        _client(environment).create_bucket(Bucket=BUCKET)
        yield SimulatedS3(environment)
    finally:
        server.stop()


def _client(environment: Mapping[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=environment["MLFLOW_S3_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )


class MlflowServer:
    """`mlflow server` on loopback, artifacts through it; it can be killed and started again.

    Args:
        folder: for its log.
        database: where it keeps what is not a file.
        artifacts: where it keeps files.
        environment: what it needs to know more.
    """

    def __init__(
        self, folder: Path, database: str, artifacts: str, environment: Mapping[str, str]
    ) -> None:
        self.port, self.log = free_port(), folder / "mlflow.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        self.command += ["--port", str(self.port), "--workers", "2"]
        # SQLAlchemy takes another driver for PostgreSQL than the one that is installed.
        store = database.replace("postgresql:", "postgresql+psycopg2:")
        self.command += ["--backend-store-uri", store, "--artifacts-destination", artifacts]
        quick = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.environment = {**os.environ, **quick, **environment}

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )
        wait_until(lambda: answers(f"{self.url}/health"), self.process, self.log)

    def kill(self) -> None:
        """SIGKILL for it and all its workers."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


def answers(url: str) -> bool:
    """Whether a server says that it is well."""
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path | None = None
) -> None:
    """Wait at most three minutes, as long as the process lives."""
    deadline = time.monotonic() + 180
    while not ready():
        output = log.read_text() if log else ""
        assert process.poll() is None and time.monotonic() < deadline, output
        time.sleep(0.2)
