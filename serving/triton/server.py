"""Run tritonserver for this user alone, with models loaded on request, and leave nothing behind.

Who can reach Triton's API can run code as its user (a model is a Python file), and its 24.10 has
published faults. It has no authentication but a key on its command line, which everybody can read
in `/proc`. So its HTTP API is off, and gRPC listens on a socket in a folder that only this user can
enter. Metrics are on a port of the loopback, where nothing but `GET /metrics` is answered.
"""

import logging
import sys
import time
from pathlib import Path

from components.base import InputError
from components.conversation import Seconds
from serving.errors import NotReadyError
from serving.processes import Child, PrivateFolder, free_ports, port_is_free
from serving.triton.control import TritonControl
from serving.triton.environment import TritonEnvironment

PRIVATE = Path(__file__).with_name("private.py")

logger = logging.getLogger(__name__)

START_SECONDS: Seconds = 60.0
"""How long it may take until it answers."""

EXIT_SECONDS = 5
"""How long it may go on answering requests in flight when it is stopped."""


class TritonServer:
    """A tritonserver process, as a context manager.

    It is started without models; `control.load()` serves what the repository's configuration
    names, `control.prove()` shows that it really answers.

    Args:
        environment: Triton's own Python environment, made by `make setup`.
        repository: the model repository.
        log: the file its output goes to; None: standard error.
        metrics_port: where it answers Prometheus; 0 takes a free one.
    """

    def __init__(
        self,
        environment: TritonEnvironment,
        repository: Path,
        log: Path | None,
        *,
        metrics_port: int = 0,
    ) -> None:
        self.environment = environment
        self.repository = repository
        self.log = log
        self.grpc_url = self.metrics_url = ""
        self._metrics_port = metrics_port
        self._folder: PrivateFolder | None = None
        self._child: Child | None = None
        self._control: TritonControl | None = None

    @property
    def control(self) -> TritonControl:
        """A client to steer it with; only while it runs."""
        if self._control is None:
            raise NotReadyError("tritonserver is not running")
        return self._control

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int | None:
        """Its process id while it was started and not stopped."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start it and wait until it answers. After a restart its addresses are the same.

        Raises:
            InputError: its environment is not set up, or its port is taken.
            NotReadyError: it ended at once or does not answer in time; with its last output.
        """
        self.environment.check()
        self.repository.mkdir(parents=True, exist_ok=True)
        host = "127.0.0.1"
        if self._folder is None:
            self._metrics_port = self._metrics_port or free_ports(1, host)[0]
            self._folder = PrivateFolder()
            # By short names without spaces, at which the Python backend splits a command.
            (self._folder.path / "triton").symlink_to(self.environment.root)
            (self._folder.path / "models").symlink_to(self.repository.resolve())
        folder = self._folder.path
        if not port_is_free(host, self._metrics_port):
            raise InputError(
                f"{host}:{self._metrics_port} cannot be listened on, where Triton shows its "
                "metrics; set MOODLINE_SERVE_TRITON_METRICS_PORT to a free port"
            )
        environment = TritonEnvironment(folder / "triton")
        # Triton puts a port behind every address: here it is the end of the socket's name.
        socket = f"unix:{folder}/grpc"
        self.grpc_url = f"{socket}:1"
        self.metrics_url = f"http://{host}:{self._metrics_port}/metrics"
        began = time.monotonic()
        self._child = Child(
            [
                *(sys.executable, "-I", str(PRIVATE)),
                str(environment.server),
                f"--model-repository={folder / 'models'}",
                f"--backend-directory={environment.backends}",
                "--model-control-mode=explicit",
                f"--exit-timeout-secs={EXIT_SECONDS}",
                "--allow-http=false",
                "--strict-readiness=false",
                *(f"--grpc-address={socket}", "--grpc-port=1"),
                *(f"--metrics-address={host}", f"--metrics-port={self._metrics_port}"),
                "--allow-gpu-metrics=false",
                f"--backend-config=python,shm-region-prefix-name={self._folder.region}",
            ],
            environment.variables(),
            self.log,
            "tritonserver",
        )
        self._control = TritonControl(self.grpc_url)
        try:
            self._wait(began + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        logger.info("tritonserver answers after %.1f s", time.monotonic() - began)

    def _wait(self, deadline: float) -> None:
        while not self.control.alive():
            if not self.running and self._child:
                raise NotReadyError(f"tritonserver ended at once: {self._child.last_output()}")
            if time.monotonic() > deadline:
                raise NotReadyError(f"tritonserver is silent after {START_SECONDS:g} s")
            time.sleep(0.05)

    def stop(self, grace: Seconds = EXIT_SECONDS + 3) -> None:
        """Stop it, with its models' processes, and clear the shared memory it used. After `grace`
        seconds for requests in flight it is killed."""
        if self._control:
            self._control.close()
            self._control = None
        if self._child:
            self._child.stop(grace)
            self._child = None
        if self._folder:
            self._folder.clear_shared_memory()

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        if self._folder:
            self._folder.remove()
            self._folder = None

    def __enter__(self) -> "TritonServer":
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
