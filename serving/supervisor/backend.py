"""Triton with the served versions on it, looked after by a thread of its own."""

import contextlib
import fcntl
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO

from components.base import InputError, MoodlineError
from components.config import Settings
from components.conversation import Seconds
from serving.errors import NotReadyError, RefusedError
from serving.lineup import Lineup, Served, read_pointer
from serving.settings import TrafficSettings
from serving.supervisor.registry_follower import Follower, fetch_production, fetched
from serving.supervisor.rollout import Steward
from serving.triton.environment import TritonEnvironment
from serving.triton.errors import TritonError
from serving.triton.replicas import addresses
from serving.triton.repository import HostSettings
from serving.triton.server import TritonServer

logger = logging.getLogger(__name__)

ROUND: Seconds = 0.2


class Backend:
    """Triton and who steers it.

    Where the settings name Tritons, these are steered instead of one that is started here. Several
    copies may share them, and the model repository with them: one leads, and when it ends, however
    that happens, another goes on.

    Args:
        settings: where things lie.
        pointer: the file that will tell the services which versions are served.
        traffic: which versions, and how closely to look after them.
        host: how Triton runs the model.
        log: the file for what a Triton that is started here says; None: standard error.
        metrics_port: where that Triton answers Prometheus; 0 takes a free one.
    """

    def __init__(
        self,
        settings: Settings,
        pointer: Path,
        traffic: TrafficSettings,
        host: HostSettings,
        log: Path | None,
        metrics_port: int = 0,
    ) -> None:
        self.server: TritonServer | None = None
        self._settings = settings
        self._pointer = pointer
        self._traffic = traffic
        self._host = host
        self._log = log
        self._metrics_port = metrics_port
        # The kernel ties tritonserver to the thread that starts it, so this one does all of it.
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="steward")
        self._ended = threading.Event()
        self._lock: IO[str] | None = None
        self._steward: Steward | None = None
        self._follower: Follower | None = None

    def start(self) -> str:
        """Have a Triton; it serves nothing yet.

        Returns:
            The address of its gRPC; of several, separated by commas.

        Raises:
            InputError: it is not set up, or an address is wrong.
            NotReadyError: it does not come up.
        """
        urls = ",".join(addresses(self._settings.triton_url))
        if not urls:
            self.server = TritonServer(
                TritonEnvironment(self._settings.triton_env.resolve()),
                self._settings.model_repository,
                self._log,
                metrics_port=self._metrics_port,
            )
            self._hand.submit(self.server.start).result()
            urls = self.server.grpc_url
        self._steward = Steward(
            urls.split(","),
            self._settings.model_repository,
            fetched(self._settings),
            self._pointer,
            self._traffic,
            self._host,
            self.server,
        )
        return urls

    def serve(self, model: Served | None = None) -> Served:
        """Serve a version, and from then on what is wanted.

        Args:
            model: the version, for good; None: the one in production, and those that follow it.

        Returns:
            The version that is served first, or is to be once Triton is there.

        Raises:
            InputError: no version is in production.
            RefusedError: it does not answer as it should, and there is none in its stead.
        """
        first = Lineup(model) if model else self._first()
        if model is None:
            self._follower = Follower(first, self._settings, self._traffic, self._pointer)
        try:
            self._hand.submit(self._round, first).result()
        except RefusedError:
            raise
        except (NotReadyError, TritonError) as error:
            logger.warning("nothing can be served yet: %s", error)  # `_keep` goes on trying
        if self._follower:
            self._follower.start()
        self._hand.submit(self._keep, first)
        served = self._steward.lineup if self._steward else None
        return (served or first).production

    def _first(self) -> Lineup:
        """What is in production; where the registry cannot say, what was served last."""
        try:
            return Lineup(fetch_production(self._settings))
        except MoodlineError as error:
            with contextlib.suppress(InputError):
                last = replace(read_pointer(self._pointer), refused={}, revivals=0)
                logger.warning("what was served last is served again: %s", error)
                return last
            raise

    def _keep(self, fixed: Lineup) -> None:
        said = ""
        while not self._ended.wait(ROUND):
            try:
                self._round(self._follower.wanted if self._follower else fixed)
                said = ""
            except Exception as error:  # one fault must not end the one who mends faults
                if str(error) != said:
                    logger.error("not served as it should be: %s", error, exc_info=error)
                said = str(error)
                self._ended.wait(1.0)

    def _round(self, wanted: Lineup) -> None:
        if self._leads():
            assert self._steward is not None
            self._steward.tend(wanted)

    def _leads(self) -> bool:
        """Whether it is this copy that steers; the kernel lets the lock go when a copy dies."""
        if self.server is None and self._lock is None:
            self._pointer.parent.mkdir(parents=True, exist_ok=True)
            lock = self._pointer.with_suffix(".lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                return False
            self._lock = lock
        return True

    def stop(self) -> None:
        """Stop looking after it, and the Triton that was started here; the pointer stays, for where
        the registry is away next time."""
        began = time.monotonic()
        self._ended.set()
        if self._follower:
            self._follower.stop()
        if self.server:
            self.server.stop()  # whoever waits for it in the other thread waits no longer
        self._hand.shutdown(wait=True, cancel_futures=True)
        if self.server:
            self.server.stop()
        if self._steward:
            self._steward.close()
        if self._lock:
            self._lock.close()
        logger.info("the model server is let go after %.1f s", time.monotonic() - began)


def pointer_path(settings: Settings, port: int) -> Path:
    """Where the pointer lies: beside the repository that copies of the service share, or for the
    one on this port alone."""
    if settings.triton_url:
        return settings.model_repository / "served.json"
    return settings.home / "serving" / f"served-{port}.json"
