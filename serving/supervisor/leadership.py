"""Which copy of the service steers the Tritons: the one that holds the lease, while it holds it.

The holder renews its lease in a thread of its own, so a load that takes minutes does not cost it.
Nobody else may take it for `leases.SECONDS` after a renewal. The holder itself counts on it for
`RENEW_SECONDS` only, from before it asked: one that cannot renew stops steering before another
begins. How long ago that was, each measures by its own clock, or, with PostgreSQL, by the server's.
So clocks that differ do no harm.
"""

import logging
import socket
import threading
import time
import uuid
from pathlib import Path

from components.base import InputError, MoodlineError
from components.conversation import Seconds
from serving.settings import ServeSettings
from serving.supervisor import leases
from serving.supervisor.kubernetes_lease import KubernetesLease
from serving.supervisor.leases import DatabaseLease, FileLease, Lease

logger = logging.getLogger(__name__)

RENEW_SECONDS: Seconds = 10.0
"""A holder that could not renew its lease stops steering after this time."""

PAUSE_SECONDS: Seconds = 2.0
"""Between two attempts."""


class Leadership:
    """Holds a lease for as long as it can, from a thread of its own; safe to ask from any.

    Attributes:
        term: how often the lease was taken: what was known in an older term may no longer be so.
    """

    def __init__(self, lease: Lease) -> None:
        self.holder = f"{socket.gethostname()[:60]}_{uuid.uuid4().hex}"
        self.term = 0
        self._lease = lease
        self._until = 0.0
        self._logged = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)

    @property
    def leads(self) -> bool:
        """Whether this copy may steer now."""
        return time.monotonic() < self._until

    def start(self) -> None:
        """Ask for the lease, and go on asking; only the first call counts."""
        if self._thread.ident is None:
            self._ask()
            self._thread.start()

    def stop(self) -> None:
        """Let go of the lease; call it once nothing is steered any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=RENEW_SECONDS)
        held, self._until = self._until > 0, 0.0
        if held:
            try:
                self._lease.release(self.holder)
            except MoodlineError as error:
                logger.warning("another copy can steer in %g s: %s", leases.SECONDS, error)

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE_SECONDS):
            self._ask()

    def _ask(self) -> None:
        began, led = time.monotonic(), self.leads
        try:
            held = self._lease.hold(self.holder)
        except Exception as error:  # a fault must not end the thread that asks again
            known = isinstance(error, MoodlineError)
            if str(error) != self._logged:  # once, not every few seconds
                why = "" if known else f"{type(error).__name__}: "
                logger.warning(
                    "who steers the Tritons cannot be settled now: %s%s", why, error,
                    exc_info=None if known else error,
                )  # fmt: skip
            self._logged = str(error)
            return
        self._logged = ""
        if held and not led:
            self.term += 1
            logger.info("this copy steers the Tritons")
        elif led and not held:
            logger.warning("another copy steers the Tritons")
        until = began + RENEW_SECONDS if self._lease.lapses else float("inf")
        self._until = until if held else 0.0


def lease_for(serve: ServeSettings, pointer: Path, repository: str = "") -> Lease:
    """The lease that the settings name.

    Args:
        serve: the service's settings.
        pointer: beside it lies the file of a file's lock.
        repository: the URL of the model repository, if it lies in an object store. Then each copy
            has a pointer of its own, and a lock beside it keeps nobody else from steering.

    Raises:
        InputError: what it needs is not set, or copies that share the repository would not share
            the lease.
    """
    if serve.leader == "kubernetes":
        return KubernetesLease(serve.lease)
    postgresql = serve.store_is_shared
    if serve.leader == "database" and not postgresql:
        raise InputError(
            "MOODLINE_SERVE_LEADER=database: MOODLINE_SERVE_STORE names no PostgreSQL; name one"
        )
    if serve.leader == "database" or (serve.leader == "auto" and postgresql):
        return DatabaseLease(serve.store, serve.lease)
    if repository:
        raise InputError(
            f"MOODLINE_SERVE_LEADER={serve.leader}: a lock of a file cannot keep two copies from"
            f" steering one repository at {repository}; set kubernetes, or name a PostgreSQL by"
            " MOODLINE_SERVE_STORE and set database or auto"
        )
    return FileLease(pointer.with_suffix(".lock"))
