"""A log as version 0.1 kept it, in files. It is put into the database when it is first used.

    journal/*.jsonl           a line a request; its writer holds the file's lock while it lives
    turns/day=…/*.parquet     journals that were rolled up; a row a turn, under the journal's name
    erased/*                  recordings that were erased, and when

Each file is one transaction that also notes its name, and it is deleted after that. So a migration
that is killed goes on where it stopped, and no row is there twice. Names with a leading dot are of
writers that were killed before a file was whole; they are deleted.
"""

import base64
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from components.base import Database, Location, migrated
from components.traffic.rows import VECTORS, schema, to_bytes, with_schema
from components.traffic.tables import ERASED, MIGRATED, TURNS, is_late

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_FOLDERS = ("journal", "turns", "erased")


def has_older_log(folder: Location) -> bool:
    """Whether an older version logged here what is not in the database yet."""
    return isinstance(folder, Path) and any((folder / name).is_dir() for name in _FOLDERS)


def migrate(folder: Path, database: Database) -> None:
    """Put an older log's turns and erasures into the database, and delete its files.

    Processes that start together do it one after the other. A journal whose writer still lives
    stays for a later call, and so does a file that cannot be read or that the database refuses.

    Args:
        folder: of the log.
        database: what it commits must survive a loss of power, because the files are deleted then.

    Raises:
        Unavailable: the database does not answer.
        OSError: the folder cannot be locked.
    """
    if not has_older_log(folder):
        return
    with _locked(folder, wait=True):
        for path in sorted(folder.glob("erased/*")):
            with _reported(path), _locked(path, wait=False):
                if not path.name.startswith("."):
                    time = datetime.fromisoformat(path.read_text(encoding="utf-8"))
                    with database.begin() as connection:
                        connection.execute(insert(ERASED), {"recording": path.name, "time": time})
                path.unlink()
        turns = files = damaged = 0
        for path in [*folder.glob("turns/day=*/*.parquet"), *folder.glob("journal/*.jsonl")]:
            with _reported(path), _locked(path, wait=False):
                if path.name.startswith("."):
                    path.unlink()
                    continue
                rows, lines = _read(path)
                turns += _insert(_name(folder, path), rows, database)
                damaged += lines
                path.unlink()
                files += 1
        for path in sorted(folder.glob("turns/day=*")) + [folder / name for name in _FOLDERS]:
            with suppress(OSError):  # it is not empty, or is not there
                path.rmdir()
        with database.begin() as connection:
            connection.execute(delete(TURNS).where(*is_late()))
            if not has_older_log(folder):  # no file can be met again
                connection.execute(delete(ERASED))
                mine = MIGRATED.c.name.startswith(_prefix(folder), autoescape=True)
                connection.execute(delete(MIGRATED).where(mine))
        if files:
            note = f"; left out {damaged} damaged lines" if damaged else ""
            migrated(folder, f"{turns} turns of {files} files are in the database now{note}")


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a file's or folder's lock.

    Raises:
        BlockingIOError: somebody else holds it, and `wait` is false.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Log what keeps a file from being migrated; the other files go on."""
    import pyarrow as pa

    try:
        yield
    except BlockingIOError:
        logger.info("%s: its writer lives; it is migrated later", path)
    except (OSError, ValueError, KeyError, OverflowError, DataError, pa.ArrowException) as error:
        reason = f"{error}".partition("\n")[0]
        logger.warning("%s cannot be migrated and stays: %s", path, reason)


def _prefix(folder: Path) -> str:
    return f"{folder.resolve()}/"


def _name(folder: Path, path: Path) -> str:
    """A file's name in `MIGRATED`. A journal has that of the Parquet file that it was rolled into.

    The day is part of it: the files of an export are all called `turns.parquet`.
    """
    day = path.parent.name if path.suffix == ".parquet" else f"day={path.stem[:10]}"
    return f"{_prefix(folder)}{day}/{path.stem}"


def _insert(name: str, table: "pa.Table", database: Database) -> int:
    """Insert a file's rows once; how many there were.

    Raises:
        ValueError: one of them lacks a value.
    """
    rows = table.to_pylist()
    for row in rows:
        row |= {column: to_bytes(row[column]) for column in VECTORS}
    with database.begin() as connection:
        if connection.execute(select(MIGRATED).where(MIGRATED.c.name == name)).first():
            return 0
        connection.execute(insert(MIGRATED), {"name": name})
        try:
            if rows:
                connection.execute(insert(TURNS), rows)
        except IntegrityError as error:
            raise ValueError(error.orig) from error
    return len(rows)


def _read(path: Path) -> tuple["pa.Table", int]:
    """A file's rows, and how many of its lines are damaged.

    Raises:
        OSError, ValueError, KeyError: it is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        # Not a dataset: `day=…` in the path would become a column.
        return with_schema(pq.ParquetFile(path).read()), 0
    tables, damaged = [schema().empty_table()], 0
    for line in path.read_bytes().splitlines():
        try:
            tables.append(pa.Table.from_pylist(_parse(line), schema=schema()))
        except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
            damaged += 1  # a writer that was killed may leave its last line without an end
    return pa.concat_tables(tables), damaged


def _parse(line: bytes) -> list[dict[str, Any]]:
    """A journal's line as rows."""
    request = json.loads(line)
    turns = request.pop("turns")
    request["time"] = datetime.fromisoformat(request["time"])
    rows = []
    for number, turn in enumerate(turns):
        if turn["embedding"] is not None:
            turn["embedding"] = np.frombuffer(base64.b64decode(turn["embedding"]), dtype="<f4")
        rows.append(request | turn | {"turn": number})
    return rows or [request | {"turn": None}]
