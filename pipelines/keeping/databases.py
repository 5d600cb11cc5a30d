"""Copies of databases, each as one moment had it, taken while others write.

A copy is always a SQLite file. SQLite's is made by its own backup, in one step. PostgreSQL's tables
are read in one transaction that sees one moment (repeatable read), with no program of PostgreSQL's,
so a backup of one kind of database can be restored into the other.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.base import (
    Database,
    InputError,
    Schema,
    Unavailable,
    database_errors,
    in_utc,
    sqlite_path,
    sqlite_url,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ROWS = 2000
"""That are copied at a time."""

_WAIT_SECONDS = 60.0
"""How long a copy waits for a writer."""


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, with what its write-ahead log holds.

    Raises:
        InputError: it is damaged, or no database.
        Unavailable: somebody writes for more than a minute.
    """
    try:
        with (
            closing(sqlite3.connect(source, timeout=_WAIT_SECONDS)) as database,
            closing(sqlite3.connect(target)) as copy,
        ):
            database.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        raise Unavailable(f"{source}: cannot be copied now ({error}); try again") from None
    except sqlite3.DatabaseError as error:
        raise InputError(f"{source}: cannot be copied: {error}") from None
    if found != "ok":
        raise InputError(f"{source}: is damaged: {' '.join(str(found).split())[:200]}")


def copy_database(url: str, name: str, schema: Schema, target: Path) -> bool:
    """Copy a database's tables into a new SQLite file; False if nobody has written it yet.

    Raises:
        InputError: it is damaged, or no database.
        Unavailable: it does not answer.
    """
    path = sqlite_path(url)
    if path is not None:
        if path.exists():
            copy_sqlite(path, target)
        return path.exists()
    with (
        closing(Database(url, name, schema)) as database,
        closing(Database(sqlite_url(target), name, schema)) as copy,
        database_errors(database.name),
        database.open()
        .execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        .begin() as source,
        copy.begin() as connection,
    ):
        _copy_rows(source, connection, schema)
    return True


@contextmanager
def filled_database(url: str, name: str, schema: Schema, saved: Path) -> Iterator[None]:
    """Put a copy's rows into an empty database of a server; they stay if the block ends well.

    Raises:
        InputError: it is not empty.
        Unavailable: it does not answer.
    """
    with (
        closing(Database(url, name, schema)) as database,
        closing(Database(sqlite_url(saved), name, schema)) as copy,
        copy.begin() as source,
        database.begin() as connection,
    ):
        check_empty(connection, name, schema)
        _copy_rows(source, connection, schema)
        yield


def check_empty(connection: "Connection", name: str, schema: Schema) -> None:
    """Refuse a database that holds a row.

    Raises:
        InputError: it does.
    """
    from sqlalchemy import select

    for table in schema.tables.sorted_tables:
        if connection.execute(select(*table.primary_key).limit(1)).first() is not None:
            raise InputError(f"{name} database: holds {table.name} already; name an empty one")


def _copy_rows(source: "Connection", target: "Connection", schema: Schema) -> None:
    """Copy all rows; numbers that databases give by themselves are given anew, in their order."""
    from sqlalchemy import insert, select

    for table in schema.tables.sorted_tables:
        numbered = table.autoincrement_column
        columns = [column for column in table.columns if column is not numbered]
        query = select(*columns).order_by(*table.primary_key)
        rows = source.execution_options(yield_per=_ROWS).execute(query)
        for part in rows.partitions():
            values = [{key: _value(v) for key, v in row._asdict().items()} for row in part]
            target.execute(insert(table), values)


def _value(value: Any) -> Any:
    """SQLite keeps no zone, so all times are in UTC."""
    return in_utc(value) if isinstance(value, datetime) else value
