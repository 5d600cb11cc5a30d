"""Reading the log, journals and Parquet together, while writers write."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.traffic.erase import drop_erased, erased
from components.traffic.journal import parquet_of
from components.traffic.rows import (
    journals,
    parquet_files,
    read_journal,
    schema,
)

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the log.

    Attributes:
        table: a row a turn, by time (see `rows.schema`).
        broken: lines of journals that could not be read; a killed writer may leave one.
        unreadable: Parquet files that could not.
    """

    table: "pa.Table"
    broken: int
    unreadable: tuple[str, ...]


def read_window(
    folder: Path,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    version: int | None = None,
) -> Window:
    """Read the turns that were answered from `since` until before `until`.

    Args:
        folder: the log's; one that does not exist is empty.
        version: only what this model version answered.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    tables, unreadable, broken = [schema().empty_table()], [], 0
    written = list(journals(folder))  # before the Parquet files: what is rolled up now is seen
    rolled = [path for path in parquet_files(folder) if _may_hold(path, since, until)]
    for path in written:
        if parquet_of(folder, path).exists():
            continue
        try:
            rows, bad = read_journal(path.read_bytes())
        except FileNotFoundError:  # rolled up meanwhile
            rolled.append(parquet_of(folder, path))
            continue
        tables.append(rows)
        broken += bad
    for path in dict.fromkeys(rolled):
        try:
            tables.append(_read(path))
        except (OSError, ValueError, KeyError) as error:
            logger.warning("%s cannot be read: %s", path.name, str(error).splitlines()[0])
            unreadable.append(path.name)
    table = drop_erased(pa.concat_tables(tables), erased(folder))
    wanted = [pc.is_valid(pc.field("request_id"))]
    if since is not None:
        wanted.append(pc.field("time") >= pa.scalar(since.astimezone(UTC)))
    if until is not None:
        wanted.append(pc.field("time") < pa.scalar(until.astimezone(UTC)))
    if version is not None:
        wanted.append(pc.field("version") == version)
    for condition in wanted:
        table = table.filter(condition)
    order = [("time", "ascending"), ("request_id", "ascending"), ("turn", "ascending")]
    return Window(table.sort_by(order), broken, tuple(unreadable))


def find_request(folder: Path, request_id: str) -> list[dict[str, Any]]:
    """The rows of a request, by turn; none if it is not in the log. The newest files come first."""
    import pyarrow.compute as pc

    gone = erased(folder)
    written, rolled = list(journals(folder)), list(parquet_files(folder))
    for path in written:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            rolled.insert(0, parquet_of(folder, path))
            continue
        if request_id.encode() in data:
            found = read_journal(data)[0].filter(pc.field("request_id") == request_id)
            if len(found):
                return _rows(drop_erased(found, gone))
    for path in rolled:
        try:
            found = _read(path, filters=pc.field("request_id") == request_id)
        except (OSError, ValueError, KeyError):
            continue
        if len(found):
            return _rows(drop_erased(found, gone))
    return []


def _rows(table: "pa.Table") -> list[dict[str, Any]]:
    """A request's rows by turn; callers may name two requests alike, and then mean the later."""
    rows: Sequence[dict[str, Any]] = table.to_pylist()
    last = max((row["time"] for row in rows), default=None)
    return sorted((row for row in rows if row["time"] == last), key=lambda row: row["turn"] or 0)


def _read(path: Path, filters: Any = None) -> "pa.Table":
    import pyarrow.parquet as pq

    # Not a dataset: `day=…` in the path would become a column.
    return (
        pq.ParquetFile(path).read()
        if filters is None
        else pq.read_table(path, filters=filters, partitioning=None)
    )


def _may_hold(path: Path, since: datetime | None, until: datetime | None) -> bool:
    """Whether a file of this day may hold rows of the stretch: it may run into the next day."""
    day = datetime.strptime(path.parent.name, "day=%Y-%m-%d").replace(tzinfo=UTC)
    early = until is not None and day >= until.astimezone(UTC)
    late = since is not None and day + 2 * _DAY <= since.astimezone(UTC)
    return not (early or late)
