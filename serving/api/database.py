"""The database that copies of the service share: SQLite by default, PostgreSQL by settings."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Table, create_engine, event, func, select
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.schema import CreateTable

from components.base import connect_arguments, database_errors


class Database:
    """A database whose tables are made when first needed, so it may be away before.

    Args:
        url: SQLAlchemy's.
    """

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        # An error's text goes into the log, which must not hold what callers sent.
        self._engine = create_engine(
            url,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=connect_arguments(make_url(url)),
        )
        self.is_postgres = self._engine.dialect.name == "postgresql"
        if not self.is_postgres:
            event.listen(self._engine, "connect", _set_up_sqlite)
        self._made: set[Table] = set()

    @contextmanager
    def transaction(self, table: Table) -> Iterator[Connection]:
        """A transaction on a table. Two threads may make the table at the same time.

        Raises:
            DatabaseAwayError: the database does not answer.
        """
        with database_errors():
            if table not in self._made:
                self._create(table)
                self._made.add(table)
            with self._engine.begin() as connection:
                yield connection

    def _create(self, table: Table) -> None:
        try:
            with self._engine.begin() as connection:
                connection.execute(CreateTable(table, if_not_exists=True))
        except (IntegrityError, ProgrammingError):
            # PostgreSQL's “if not exists” does not hold against another copy.
            with self._engine.begin() as connection:
                connection.execute(CreateTable(table, if_not_exists=True))

    def now(self, connection: Connection) -> float:
        """Seconds since 1970, by the one clock that all copies share."""
        if not self.is_postgres:
            return time.time()
        clock = select(func.extract("epoch", func.clock_timestamp()))
        return float(connection.execute(clock).scalar_one())

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _set_up_sqlite(connection: Any, _: Any) -> None:
    """Readers beside a writer, and a writer that waits for another instead of failing."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=10000")
