"""What the copy of the service that steers the Tritons holds: one holder at a time has it."""

import fcntl
from pathlib import Path
from typing import IO, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from components.base import Database, Schema
from components.conversation import Seconds

SECONDS: Seconds = 15.0
"""A lease that is not renewed is free after this time."""


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
