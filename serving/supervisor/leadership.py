"""Which copy of the service steers the Tritons: the one that holds the lease, while it holds it.

The holder renews its lease in a thread of its own, so a load that takes minutes does not cost it.
Nobody else may take the lease for `SECONDS` after a renewal. The holder itself counts on it for
`RENEW_SECONDS` only, from before it asked: one that cannot renew stops steering before another
begins. How long ago that was, each measures by its own clock, or, with PostgreSQL, by the server's.
So clocks that differ do no harm.
"""

import fcntl
import logging
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import IO, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from components.base import Database, InputError, MoodlineError, Schema
from components.conversation import Seconds
from serving.settings import ServeSettings

logger = logging.getLogger(__name__)

SECONDS: Seconds = 15.0
"""A lease that is not renewed is free after this time."""

RENEW_SECONDS: Seconds = 10.0
"""A holder that could not renew its lease stops steering after this time."""

PAUSE_SECONDS: Seconds = 2.0
"""Between two attempts."""


class Lease(Protocol):
    """What one holder at a time has.

    Attributes:
        lapses: whether somebody else may take it though the holder did not let go of it.
    """

    lapses: bool

    def hold(self, holder: str) -> bool:
        """Take or renew it; False: another holder has it.

        Raises:
            MoodlineError: its place does not answer, or refuses.
        """
        ...

    def release(self, holder: str) -> None:
        """Let go of it, so that another holder need not wait.

        Raises:
            MoodlineError: as `hold`.
        """
        ...


class FileLease:
    """A lock of a file, for copies on one host; the kernel releases it when its holder dies. Over
    NFS it may have two holders."""

    lapses = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: IO[str] | None = None

    def hold(self, holder: str) -> bool:
        """As of `Lease`."""
        if self._lock is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = self._path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def release(self, holder: str) -> None:
        """As of `Lease`."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


METADATA = sa.MetaData()
SCHEMA = Schema("leadership", METADATA, Path(__file__).with_name("revisions"), head="1.1")

LEASES = sa.Table(
    "moodline_leases",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("holder", sa.String(100), nullable=False),
    sa.Column("until", sa.Float, nullable=False),  # seconds since 1970, by the server's clock
)


class DatabaseLease:
    """A row in PostgreSQL."""

    lapses = True

    def __init__(self, url: str, name: str) -> None:
        self._database = Database(url, "the leadership's", SCHEMA)
        self._name = name

    def hold(self, holder: str) -> bool:
        """As of `Lease`."""
        clock = sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Float)
        values = {"holder": holder, "until": clock + SECONDS}
        taken = insert(LEASES).values(name=self._name, **values)
        taken = taken.on_conflict_do_update(
            index_elements=[LEASES.c.name],
            set_=values,
            where=sa.or_(LEASES.c.holder == holder, LEASES.c.until < clock),
        )
        with self._database.begin() as connection:
            return connection.execute(taken).rowcount == 1

    def release(self, holder: str) -> None:
        """As of `Lease`."""
        held = sa.and_(LEASES.c.name == self._name, LEASES.c.holder == holder)
        with self._database.begin() as connection:
            connection.execute(sa.delete(LEASES).where(held))
        self._database.close()


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
                logger.warning("another copy can steer in %g s: %s", SECONDS, error)

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


def lease_for(serve: ServeSettings, pointer: Path) -> Lease:
    """The lease that the settings name.

    Args:
        serve: the service's settings.
        pointer: beside it lies the file of a file's lock.

    Raises:
        InputError: what it needs is not set.
    """
    if serve.leader == "kubernetes":
        from serving.supervisor.kubernetes_lease import KubernetesLease

        return KubernetesLease(serve.lease)
    postgresql = bool(serve.store) and not serve.store.startswith("sqlite")
    if serve.leader == "database" and not postgresql:
        raise InputError(
            "MOODLINE_SERVE_LEADER=database: MOODLINE_SERVE_STORE names no PostgreSQL; name one"
        )
    if serve.leader == "database" or (serve.leader == "auto" and postgresql):
        return DatabaseLease(serve.store, serve.lease)
    return FileLease(pointer.with_suffix(".lock"))
