"""What leaves the database: feedback as a labelled corpus, for training only; turns as Parquet."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, Location, atomic_path
from components.conversation import SOURCES, write_manifest
from components.traffic.entries import Feedback
from components.traffic.rows import schema, with_schema
from components.traffic.selection import select_feedback
from components.traffic.turn_log import TurnLog

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds.

    Attributes:
        recordings: how many requests' sound.
        turns: labelled turns in them.
        without_audio: labelled turns whose sound was not kept, or is no longer.
        held: entries that wait for a person (see `components.traffic.review`).
    """

    recordings: int
    turns: int
    without_audio: int
    held: int = 0


def export_feedback(
    entries: Iterable[Feedback], log: Location, out: Path, *, limit: float = 1.0
) -> Exported:
    """Write a corpus with a manifest: the sound that was kept and the labels that stand.

    Every recording's fold is `FEEDBACK`, which is never tested on nor chosen by. Beside the
    manifest stands who gave each label, and the log's name of each recording.

    Args:
        log: the log's folder, where the sound lies.
        out: the corpus' folder, written whole or not at all.
        limit: the share of a key's labels that may contradict the model; beyond it they are held.

    Raises:
        InputError: there is nothing that could be exported.
    """
    chosen = select_feedback(entries, log, limit=limit)
    if not chosen.recordings:
        raise InputError(f"{chosen.why_none()}; nothing was exported")
    with atomic_path(out) as temporary:
        write_manifest(temporary, chosen.recordings, take_audio=True)
        text = json.dumps(chosen.sources, ensure_ascii=False, indent=1)
        (temporary / SOURCES).write_text(text, encoding="utf-8")
    return Exported(len(chosen.recordings), chosen.turns, chosen.without_audio, chosen.held)


def export_log(
    log: TurnLog, out: Path, since: datetime | None = None, until: datetime | None = None
) -> int:
    """Write the turns of a window as Parquet, for pandas, DuckDB or `read_export`.

    Args:
        log: it is read in batches, so that it may be larger than the memory.
        out: a file `….parquet`, or a folder, which then holds `turns/day=…/turns.parquet`. Written
            whole or not at all.
        since, until: the window; open at either end where None.

    Returns:
        How many rows there are: one a turn, and one for a request without turns.

    Raises:
        InputError: there is nothing in the window.
        Unavailable: the database does not answer.
    """
    import pyarrow.parquet as pq

    rows = 0
    with atomic_path(out) as temporary, ExitStack() as files:
        writers: dict[Path, pq.ParquetWriter] = {}
        for day, table in _by_day(log.batches(since, until)):
            path = temporary
            if out.suffix != ".parquet":
                path = temporary / "turns" / f"day={day}" / "turns.parquet"
            if path not in writers:
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(path, schema(), compression="zstd")
                writers[path] = files.enter_context(writer)
            writers[path].write_table(table)
            rows += len(table)
        if not rows:
            raise InputError("there is nothing in the log for this window; nothing was exported")
    return rows


def _by_day(tables: "Iterable[pa.Table]") -> "Iterator[tuple[str, pa.Table]]":
    import pyarrow.compute as pc

    for table in tables:
        days = pc.strftime(table["time"], format="%Y-%m-%d")
        for day in days.unique().to_pylist():
            yield day, table.filter(pc.equal(days, day))


def read_export(
    folder: Path,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    version: int | None = None,
) -> "pa.Table":
    """The turns of a folder that `export_log` wrote; arguments as of `TurnLog.window`.

    Raises:
        InputError: there is no Parquet file in the folder, one that is no log, or the folder is a
            log of version 0.1, whose last rows and erased recordings stand beside its Parquet.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if any((folder / name).is_dir() for name in ("journal", "erased")):
        raise InputError(
            f"{folder}: is a log of version 0.1, not an export; run `moodline log export` with"
            " MOODLINE_LOG set to it, and name what that writes"
        )
    paths = sorted(folder.rglob("*.parquet"))
    if not paths:
        raise InputError(
            f"{folder}: holds no Parquet files; `moodline log export` writes such a folder"
        )
    condition = pc.is_valid(pc.field("request_id"))
    if since is not None:
        condition &= pc.field("time") >= pa.scalar(since)
    if until is not None:
        condition &= pc.field("time") < pa.scalar(until)
    if version is not None:
        condition &= pc.field("version") == version
    tables = []
    for path in paths:
        try:
            table = with_schema(pq.ParquetFile(path).read())
        except (OSError, ValueError, KeyError) as error:
            fault = str(error).splitlines()[0]
            raise InputError(f"{path}: is no file of a prediction log: {fault}") from None
        tables.append(table.filter(condition))
    return pa.concat_tables(tables)
