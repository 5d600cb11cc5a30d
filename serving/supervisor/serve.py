"""Host what `moodline serve` does: promoted versions on Triton, and the service in front.

    registry ── aliases ──> model folders ──> model repository ──> tritonserver
       (registry_follower.py)     (rollout.py)                        ↑ gRPC
                                                the service (BentoML) ┘ ── http://host:port

Both stay up: what ends or dies is restarted, and a promotion is followed. The children write their
logs under `<home>/logs` or to standard error. Stopping this stops both.
"""

import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import serving as package
from components.base import close_to_others
from components.config import Profile, Settings, version_speech
from components.conversation import Seconds
from serving.errors import NotReadyError
from serving.lineup import Served, read_pointer
from serving.processes import FOR_THE_OWNER_ONLY, Child, PrivateFolder, free_ports
from serving.settings import HostSettings, ServeSettings, TrafficSettings
from serving.supervisor.backend import Backend, pointer_path
from serving.supervisor.checks import check_configuration
from serving.supervisor.leadership import lease_for
from serving.triton.server import TritonServer

logger = logging.getLogger(__name__)

SERVICE = "serving.api.service:MoodlineService"

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""What keeps the libraries from fetching models."""

READY_SECONDS: Seconds = 300.0
"""How long the service may take to load its models."""

SHUTDOWN_SECONDS: Seconds = 10.0
"""How long the service may take to end once its requests are finished."""


class Serving:
    """Triton and the service, as a context manager.

    Args:
        settings: where things lie. With `triton_url` set, those Tritons are used (their model
            repository must be `model_repository`) instead of one that is started here.
        profile: how this machine computes the speech models (`MACHINES_OWN`), which have to be the
            version's own; None: as the version has it.
        host: the address to listen on: an IPv4 address, or localhost.
        port: the port to listen on; 0 takes a free one.
        model: the version to serve for good; None follows the registry.
        serve: the service's other settings.
        traffic: which versions are served; None takes it from the environment.
        triton: how Triton runs the model, likewise.
    """

    def __init__(
        self,
        settings: Settings,
        profile: Profile | None = None,
        host: str = "127.0.0.1",
        port: int = 3000,
        *,
        model: Served | None = None,
        serve: ServeSettings | None = None,
        traffic: TrafficSettings | None = None,
        triton: HostSettings | None = None,
    ) -> None:
        self.settings = settings
        self.host = host = "127.0.0.1" if host == "localhost" else host
        self.port = port or free_ports(1, host)[0]
        self.model = model
        self._traffic = traffic or TrafficSettings()
        pointer = pointer_path(settings, self.port)
        self._serve = (serve or ServeSettings()).model_copy(update={"pointer": pointer})
        if profile is not None:
            update = {"profile": profile.model_dump_json()}
            self._serve = self._serve.model_copy(update=update)
        # Copies on several hosts may share the home.
        self._state = settings.home / "serving" / f"bentoml-{socket.gethostname()}-{self.port}"
        self._log = self._serve.log_file(settings.home, "service.log")
        self._backend = Backend(
            settings,
            pointer,
            traffic=self._traffic,
            host=triton or HostSettings(),
            profile=self._serve.profile,
            wait=self._serve.wait,
            lease=lambda: lease_for(self._serve, pointer, settings.model_repository_store),
            log=self._serve.log_file(settings.home, "tritonserver.log"),
            metrics_port=self._serve.triton_metrics_port,
        )
        self._may_fetch = False
        self._service: Child | None = None
        self._sockets: PrivateFolder | None = None

    @property
    def url(self) -> str:
        """Where the service answers."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"

    @property
    def log_location(self) -> str:
        """Where to read the service's log, for a message."""
        return "logs/service.log" if self._log else "its log above"

    @property
    def triton(self) -> TritonServer | None:
        """The Triton that was started here, if one was."""
        return self._backend.server

    def start(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Start everything; returns when a recording would be answered, or at once where a first
        version is waited for (`model` is None then).

        Args:
            meanwhile: work of the caller's, while the service loads its models.

        Raises:
            InputError: no version is in production, its speech models are not those that it was
                made with, or something is not set up.
            Unavailable: a database does not answer.
            NotReadyError: a part does not come up; nothing is left running.
        """
        check_configuration(self.settings, self._serve, self.host, self.port)
        close_to_others(self.settings.home)
        if self._log is None:  # then this process's log goes there, too
            logging.getLogger("serving").setLevel(logging.INFO)
        try:
            triton_url = self._backend.start()
            if first := self._backend.first(self.model):
                # The service loads the speech models meanwhile; they take the longest.
                self._serve = self._serve.model_copy(update={"first": str(first.folder.resolve())})
                self._may_fetch = version_speech(first.folder, self._serve.profile).on_the_hub(
                    self.settings
                )
            self._start_service(triton_url)
            self.model = self._backend.serve()
            meanwhile()
            if self.model is not None:
                self._wait_ready()
        except BaseException:
            self.abort_requests()  # nobody waits for an answer yet
            self.stop()
            raise

    def _start_service(self, triton_url: str) -> None:
        self._state.mkdir(parents=True, exist_ok=True)
        self._sockets = PrivateFolder()
        environment = {
            **os.environ,
            **self.settings.environment(),
            **self._serve.environment(),
            **self._traffic.environment(),
            "MOODLINE_TRITON_URL": triton_url,
            "BENTOML_HOME": str(self._state.resolve()),
        }
        if self._may_fetch and not self._serve.wait:  # where one waits, nothing comes from a hub
            environment = {k: v for k, v in environment.items() if k not in OFFLINE}
        if self.settings.hub_token:
            environment["MOODLINE_HUB_TOKEN"] = self.settings.hub_token.get_secret_value()
        root = Path(package.__file__).parents[1]
        self._service = Child(
            [
                *(sys.executable, "-m", "serving.supervisor.host"),
                *(str(self._sockets.path), SERVICE),
                *("--working-dir", str(root)),
                *("--host", self.host, "--port", str(self.port)),
                *("--timeout-graceful-shutdown", str(self._serve.finish_seconds)),
            ],
            environment,
            self._log,
            "the service",
        )

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while self._http_status("readyz") != 200:
            if not self.running:
                output = self._service.last_output() if self._service else ""
                raise NotReadyError(f"the service ended while it started: {output}")
            if self._http_status("healthz") == 503:
                raise NotReadyError(f"the speech models cannot be loaded; see {self.log_location}")
            if time.monotonic() > deadline:
                raise NotReadyError(f"the service is not ready within {READY_SECONDS:g} s")
            time.sleep(0.2)

    def ready(self) -> bool:
        """Whether a recording would be answered now; then `model` is the version that answers."""
        if self._http_status("readyz") != 200:
            return False
        self.model = self.model or read_pointer(self._serve.pointer).production
        return True

    def _http_status(self, path: str) -> int:
        """The HTTP status of a path; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/{path}", timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    @property
    def running(self) -> bool:
        """Whether the service runs; the supervisor restarts Triton in any case."""
        return self._service is not None and self._service.running

    def stop(self) -> None:
        """Stop the service once its requests in flight are finished, then Triton."""
        if self._service:
            self._service.stop(self._serve.finish_seconds + SHUTDOWN_SECONDS)
            self._service = None
        self._backend.stop()
        shutil.rmtree(self._state, ignore_errors=True)
        if self._sockets:
            self._sockets.remove()

    def abort_requests(self) -> None:
        """Kill the service, so that a stop waits for no request."""
        if self._service:
            self._service.kill()

    def __enter__(self) -> "Serving":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(
    settings: Settings,
    profile: Profile | None = None,
    host: str = "127.0.0.1",
    port: int = 3000,
    *,
    model: Served | None = None,
    serve: ServeSettings | None = None,
    on_ready: Callable[[Serving], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; call it from the main thread. The first signal lets requests
    in flight finish; a second one ends them.

    Args:
        settings, profile, host, port, model, serve: as `Serving` takes them.
        on_ready: called once, when recordings are answered.

    Raises:
        InputError: no version is in production, or something is not set up.
        Unavailable: a database does not answer.
        NotReadyError: a part does not come up, or ended by itself.
    """
    umask = os.umask(FOR_THE_OWNER_ONLY)
    stopping = threading.Event()
    serving = Serving(settings, profile, host, port, model=model, serve=serve)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():  # it must not interrupt the stop
            serving.abort_requests()
        else:
            stopping.set()
            raise KeyboardInterrupt

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with serving:
            while serving.running:
                if on_ready and serving.ready():
                    on_ready(serving)
                    on_ready = None
                time.sleep(0.5)
            raise NotReadyError(f"the service ended by itself; see {serving.log_location}")
    except KeyboardInterrupt:
        if not stopping.is_set():
            raise
        logger.info("stopped on request")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.umask(umask)
