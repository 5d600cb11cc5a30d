"""A database named by a URL, which several processes write."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from components.base.addresses import masked
from components.base.errors import InputError, Unavailable
from components.base.schema import Schema

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

logger = logging.getLogger(__name__)

_ATTEMPTS = 5
_PAUSE = 0.2
"""Of emptying SQLite's write-ahead log, and the seconds between two of them."""

POSTGRESQL = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""libpq's parameters. It gives up a server that does not answer after 3 s (`connect_timeout`), and
one whose host has fallen silent after about 10 s. The URL may name other numbers."""


class DatabaseAwayError(Unavailable):
    """A database does not answer; later it may."""

    answer = "the database does not answer"


def sqlite_url(path: Path) -> str:
    """SQLAlchemy's URL of a SQLite file: a name may hold `?`, `%` or `#`, which a URL may not."""
    return f"sqlite:///{quote(str(path.resolve()))}"


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL; None for other databases, and for SQLite's own addresses, as
    `:memory:`."""
    if not url.startswith("sqlite:///"):
        return None
    name = unquote(url.removeprefix("sqlite:///").partition("?")[0])
    return Path(name) if name and not name.startswith((":", "file:")) else None


def check_database(url: str, name: str, schema: Schema | None = None) -> None:
    """Find out within seconds whether a database lets us in; nothing is written.

    Args:
        url: SQLAlchemy's.
        name: whose it is, for the error's line.
        schema: what is going to be used of it.

    Raises:
        InputError: it is no such URL, its driver is not installed, or it is of a newer Moodline.
        DatabaseAwayError: nobody answers there, or it refuses us.
    """
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return  # made when it is first used
    database = Database(url, name)
    try:
        with database_errors(database.name), database.open().connect() as connection:
            if schema is not None:
                schema.is_current(connection, database.name)
    finally:
        database.close()


@contextmanager
def database_errors(name: str = "the database") -> Iterator[None]:
    """Raise a `DatabaseAwayError`, with the database's name, where it does not answer well."""
    from sqlalchemy.exc import DataError, DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    try:
        yield
    except DataError:
        raise  # it answers; a value is wrong
    except (DBAPIError, PoolTimeoutError) as error:
        raise DatabaseAwayError(masked(f"{name}: {str(error).splitlines()[0]}")) from error


class Database:
    """A database that is opened when it is first used, and again after it was away.

    Args:
        url: SQLAlchemy's; SQLite's file and its folder are made when first used.
        name: whose it is, for the error's line.
        schema: its tables, made or brought up to date when first used; None: it has no such tables.
        synchronous: SQLite's level. With NORMAL a killed process loses nothing; a machine that
            loses its power loses what was committed since the last checkpoint.

    Raises:
        InputError: it is no such URL, or its driver is not installed.
    """

    def __init__(
        self, url: str, name: str, schema: Schema | None = None, *, synchronous: str = "FULL"
    ) -> None:
        from sqlalchemy import create_engine, event
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        self.name = f"{name} database"
        self._schema = schema
        self._is_ready = False
        try:
            address = make_url(url)
            options = {"pool_pre_ping": True, "connect_args": _connect_arguments(address)}
            # Hidden, because an error's text must not hold what people said.
            self._engine = create_engine(address, hide_parameters=True, **options)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            raise InputError(masked(f"{self.name}: {str(error).splitlines()[0]}")) from None
        self._path = sqlite_path(url)
        if self.is_sqlite:
            event.listen(self._engine, "connect", partial(_set_up_sqlite, synchronous))

    @property
    def is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @property
    def exists(self) -> bool:
        """False if it is a SQLite file that nobody has written yet; a server is asked when used."""
        return self._path is None or self._path.exists()

    def open(self) -> "Engine":
        """The engine, once the tables are as this version has them (see `Schema`).

        Raises:
            InputError: the database is of a newer Moodline.
            DatabaseAwayError: the database does not answer.
        """
        if not self._is_ready:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with suppress(OSError):  # it is there, or SQLite says better why it cannot be made
                    # What people said is for the owner alone; SQLite's other files follow this one.
                    # One that is there is left to SQLite: closing it would drop the locks of this
                    # process' other connections, and another program that ends would then delete
                    # the write-ahead log that they go on writing into.
                    os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with database_errors(self.name):
                if self._schema is not None:
                    self._schema.upgrade(self._engine, self.name)
            self._is_ready = True
        return self._engine

    @contextmanager
    def begin(self) -> "Iterator[Connection]":
        """A transaction that is committed when the block ends well.

        Raises:
            DatabaseAwayError: the database does not answer, or has no room.
        """
        with database_errors(self.name), self.open().begin() as connection:
            yield connection

    def empty_wal(self) -> None:
        """SQLite: what was deleted is not to stay in the write-ahead log either.

        It cannot be emptied while somebody reads. Writers wait for an attempt, so attempts are
        short.

        Raises:
            DatabaseAwayError: the database does not answer.
        """
        if not self.is_sqlite:
            return
        with database_errors(self.name), self.open().connect() as connection:
            connection.detach()  # no other use has this timeout
            connection.exec_driver_sql("PRAGMA busy_timeout=0")
            for _ in range(_ATTEMPTS):
                if not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:
                    return
                time.sleep(_PAUSE)
        stays = "what was deleted stays in its write-ahead log until the next erasure or sweep"
        logger.warning("%s: somebody reads it, so %s", self.name, stays)

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()


def _set_up_sqlite(synchronous: str, connection: Any, _: Any) -> None:
    connection.execute("PRAGMA busy_timeout=10000")  # a writer waits for another
    connection.execute("PRAGMA journal_mode=WAL")  # readers beside a writer
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten


def _connect_arguments(address: "URL") -> dict[str, Any]:
    """Connection arguments for the database's driver, besides the URL."""
    if address.get_backend_name() != "postgresql":
        return {}
    return {name: value for name, value in POSTGRESQL.items() if name not in address.query}


def in_utc(time: datetime) -> datetime:
    """A time as a database gives it: SQLite drops the zone, PostgreSQL tells it in its own."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
