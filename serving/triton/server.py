"""Run tritonserver on loopback, with models loaded on request, and leave nothing behind."""

import logging
import os
import time
import uuid
from pathlib import Path

from components.conversation import Seconds
from serving.errors import NotReadyError
from serving.processes import Child, free_ports
from serving.triton.control import TritonControl
from serving.triton.environment import TritonEnvironment

logger = logging.getLogger(__name__)

SHARED_MEMORY = Path("/dev/shm")

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
        self.http_url = self.grpc_url = self.metrics_url = ""
        self._metrics_port = metrics_port
        self._ports: list[int] = []
        self._child: Child | None = None
        self._control: TritonControl | None = None
        # The prefix of its shared memory, which a killed tritonserver leaves behind.
        self._region = f"moodline_{uuid.uuid4().hex[:8]}_"

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
        """Start it and wait until it answers.

        Raises:
            InputError: its environment is not set up.
            NotReadyError: it ended at once or does not answer in time; with its last output.
        """
        self.environment.check()
        self.repository.mkdir(parents=True, exist_ok=True)
        host = "127.0.0.1"
        # After a restart it listens on the same ports, where its clients look for it.
        if not self._ports:
            http, grpc, metrics = free_ports(3)
            self._ports = [http, grpc, self._metrics_port or metrics]
        http, grpc, metrics = self._ports
        self.http_url = f"http://{host}:{http}"
        self.grpc_url = f"{host}:{grpc}"
        self.metrics_url = f"http://{host}:{metrics}/metrics"
        began = time.monotonic()
        self._child = Child(
            [
                str(self.environment.server),
                f"--model-repository={self.repository.resolve()}",
                f"--backend-directory={self.environment.backends}",
                "--model-control-mode=explicit",
                f"--exit-timeout-secs={EXIT_SECONDS}",
                *(f"--http-address={host}", f"--http-port={http}"),
                *(f"--grpc-address={host}", f"--grpc-port={grpc}"),
                *(f"--metrics-address={host}", f"--metrics-port={metrics}"),
                "--allow-gpu-metrics=false",
                f"--backend-config=python,shm-region-prefix-name={self._region}",
            ],
            self.environment.variables(dict(os.environ)),
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
        for path in SHARED_MEMORY.glob(f"{self._region}*"):
            path.unlink(missing_ok=True)

    def __enter__(self) -> "TritonServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
