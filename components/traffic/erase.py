"""Taking out of the log what must not stay: a recording on request, what is too old by itself."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import atomic_path
from components.traffic.rows import journals, parquet_files, read_journal

if TYPE_CHECKING:
    import pyarrow as pa


def erase(folder: Path, recording: str, now: datetime | None = None) -> int:
    """Erase a recording: its sound at once, its rows wherever they lie.

    Journals that are being written cannot be changed: from now on their readers, and whoever rolls
    them up, leave the rows out. What is answered later is a new recording, and stays.

    Args:
        folder: the log's.
        recording: as it stands in the log (see `recording_id`).
        now: of the erasure; default: now.

    Returns:
        How many turns and sound files there were.
    """
    now = now or datetime.now(UTC)
    count, before = 0, erased(folder)
    for path in journals(folder):
        with suppress(FileNotFoundError):  # rolled up meanwhile, which reads the mark
            table = drop_erased(read_journal(path.read_bytes())[0], before)
            count += table["recording"].to_pylist().count(recording)
    mark = folder / "erased" / recording
    with atomic_path(mark) as temporary:
        temporary.write_text(now.isoformat(), encoding="utf-8")
    gone = {recording: now}
    for path in parquet_files(folder):
        count += _rewrite(path, lambda table: drop_erased(table, gone), "recording")
    kept = list((folder / "audio").glob(f"day=*/{recording}.*"))
    for path in kept:
        path.unlink(missing_ok=True)
    return count + len(kept)


def erased(folder: Path) -> dict[str, datetime]:
    """The recordings that were erased, and when."""
    place = folder / "erased"
    if not place.is_dir():
        return {}
    return {
        path.name: datetime.fromisoformat(path.read_text(encoding="utf-8"))
        for path in place.iterdir()
        if not path.name.startswith(".")
    }


def drop_erased(table: "pa.Table", gone: Mapping[str, datetime]) -> "pa.Table":
    """The rows but those of erased recordings, as far as they are older than the erasure."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not gone or not len(table):
        return table
    place = pc.index_in(table["recording"], pa.array(list(gone), pa.string()))
    times = pa.array(list(gone.values()), table.schema.field("time").type)
    late = pc.greater(table["time"], pc.take(times, place))
    return table.filter(pc.or_kleene(pc.is_null(place), late))


def sweep(
    folder: Path, *, content_days: float, days: float, now: datetime | None = None
) -> tuple[int, int]:
    """Delete what is too old: the content (words, sound) first, then whole files.

    Args:
        folder: the log's.
        content_days: how long words and sound are kept.
        days: how long anything is.
        now: today; default: now.

    Returns:
        How many files lost their content, and how many were deleted.
    """
    now = now or datetime.now(UTC)
    content, whole = now - timedelta(days=content_days), now - timedelta(days=days)
    emptied = deleted = 0
    for path in parquet_files(folder):
        if _ended(path) <= whole:
            path.unlink(missing_ok=True)
            deleted += 1
        elif _ended(path) <= content:
            emptied += bool(_rewrite(path, _without_text, "text"))
    for path in (folder / "audio").glob("day=*/[!.]*.flac"):
        if _ended(path) <= min(content, now):
            path.unlink(missing_ok=True)
            deleted += 1
    return emptied, deleted


def _ended(path: Path) -> datetime:
    """When the last row of a file of this day may have been written."""
    day = datetime.strptime(path.parent.name, "day=%Y-%m-%d").replace(tzinfo=UTC)
    return day + timedelta(days=1)


def _without_text(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    place = table.column_names.index("text")
    return table.set_column(place, "text", pa.nulls(len(table), pa.string()))


def _rewrite(path: Path, change: Callable[["pa.Table"], "pa.Table"], column: str) -> int:
    """Write a file anew without what must go, if anything in `column` would change.

    Returns:
        How many rows went, or changed.
    """
    import pyarrow.parquet as pq

    before = pq.ParquetFile(path).read()
    after = change(before)
    if after.select([column]).equals(before.select([column])):
        return 0
    if len(after):
        with atomic_path(path) as temporary:
            pq.write_table(after, temporary, compression="zstd")
    else:
        path.unlink(missing_ok=True)
    return len(before) - len(after) or len(before)
