"""A database named by a URL, for what several processes write."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.base.errors import InputError, Unavailable

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine, MetaData

CONNECT_SECONDS = 3
"""After which a PostgreSQL that does not answer is given up; its URL may name another number."""


class DatabaseAwayError(Unavailable):
    """A database does not answer; later it may."""

    answer = "the database does not answer"


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise a `DatabaseAwayError` for what SQLAlchemy raises where a database does not answer.

    Raises:
        DatabaseAwayError: it does not, or not as it should.
    """
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        raise DatabaseAwayError(f"the database: {str(error).splitlines()[0]}") from error


def open_database(url: str, whose: str, tables: "MetaData") -> "Engine":
    """A database; SQLite's file and its folder, and the tables, are made when first needed.

    Args:
        url: SQLAlchemy's.
        whose: for the error's line.
        tables: that it must have.

    Raises:
        DatabaseAwayError: it does not answer.
        InputError: it is no such URL, or its driver is not installed.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

    try:
        address = make_url(url)
        if address.get_backend_name() == "sqlite" and address.database:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(address, pool_pre_ping=True, connect_args=connect_arguments(address))
        try:
            tables.create_all(engine)
        except DBAPIError:  # another process made them at the same time
            tables.create_all(engine)
    except (ArgumentError, NoSuchModuleError, ImportError, OperationalError) as error:
        kind = DatabaseAwayError if isinstance(error, OperationalError) else InputError
        raise kind(f"{whose} database: {str(error).splitlines()[0]}") from None
    return engine


def database_exists(url: str) -> bool:
    """False if it is a SQLite file that nobody has written yet; what a server has, it must tell."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(url)
    except ArgumentError:
        return True  # opening it says what is wrong
    path = address.database if address.get_backend_name() == "sqlite" else None
    # SQLite's own addresses ("file:…", ":memory:") it must read itself.
    return path is None or path.startswith((":", "file:")) or Path(path).exists()


def connect_arguments(address: "URL") -> dict[str, Any]:
    """What the database's driver is told beside the URL."""
    if address.get_backend_name() != "postgresql" or "connect_timeout" in address.query:
        return {}
    return {"connect_timeout": CONNECT_SECONDS}


def in_utc(time: datetime) -> datetime:
    """A time as a database gives it: SQLite drops the zone, PostgreSQL tells it in its own."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
