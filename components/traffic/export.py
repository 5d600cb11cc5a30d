"""What leaves the database: feedback as a labelled corpus, for training only; turns as Parquet."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, Location, atomic_path
from components.conversation import FEEDBACK, SOURCES, Recording, Utterance, write_manifest
from components.traffic.audio import kept_audio
from components.traffic.copies import mixed_name
from components.traffic.entries import Feedback, standing
from components.traffic.review import without_held
from components.traffic.rows import schema
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
    entries = list(entries)
    free = without_held(entries, limit)
    recordings: list[Recording] = []
    sources: dict[str, dict[str, object]] = {}
    labelled = missing = 0
    for turns, name in _by_answer(standing(free)):
        sound = kept_audio(log, asdict(turns[0]))
        labelled += len(turns)
        if sound is None or name is None:
            missing += len(turns)
            continue
        recordings.append(_recording(name, turns, sound))
        labels = {_utterance_id(name, turn): turn.origin for turn in turns}
        sources[name] = {"recording": turns[0].recording, "labels": labels}
    waiting = len(entries) - len(free)
    if not labelled:
        _refuse_none(waiting)
    if not recordings:
        raise InputError(
            f"of none of the {labelled} labelled turns the sound was kept; nothing was exported"
            " (MOODLINE_LOG_AUDIO=true keeps it from now on)"
        )
    with atomic_path(out) as temporary:
        write_manifest(temporary, recordings, take_audio=True)
        text = json.dumps(sources, ensure_ascii=False, indent=1)
        (temporary / SOURCES).write_text(text, encoding="utf-8")
    return Exported(len(recordings), labelled - missing, missing, waiting)


def _refuse_none(waiting: int) -> None:
    if waiting:
        raise InputError(
            f"all feedback is held for a person ({waiting} entries; see `moodline feedback"
            " review`); nothing was exported"
        )
    raise InputError("there is no feedback yet; nothing was exported")


def _by_answer(entries: Iterable[Feedback]) -> Iterator[tuple[list[Feedback], str | None]]:
    """The entries on each answer, with the name of its recording in the export.

    Version 0.1 knew a request by its sender's id. Of two answers to one id about one recording only
    the later one's sound is there: the earlier one has no name.
    """
    answers = [list(g) for _, g in groupby(entries, key=lambda e: e.answered[:3])]
    recordings: dict[str, set[str]] = {}
    latest: dict[tuple[str, str], datetime] = {}
    for turns in answers:
        request_id, recording, time, _ = turns[0].answered
        recordings.setdefault(request_id, set()).add(recording)
        latest[request_id, recording] = time  # they are in order of time
    for turns in answers:
        request_id, recording, time, _ = turns[0].answered
        name = f"{FEEDBACK}-{request_id}"
        if len(recordings[request_id]) > 1:
            name = mixed_name(request_id, recording)
        yield turns, name if time == latest[request_id, recording] else None


def _utterance_id(name: str, turn: Feedback) -> str:
    return f"{name}_{turn.turn:04d}"


def _recording(name: str, turns: list[Feedback], sound: Location) -> Recording:
    utterances = tuple(
        Utterance(
            id=_utterance_id(name, turn),
            recording=name,
            start=turn.start,
            end=turn.end,
            speaker=f"{name}_{turn.speaker}",
            sex=None,
            text="",  # the words are not kept; training transcribes the sound anew
            emotion=turn.emotion,
        )
        for turn in sorted(turns, key=lambda turn: turn.start)
    )
    return Recording(name=name, audio=sound, fold=FEEDBACK, scripted=None, utterances=utterances)


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
            table = pq.ParquetFile(path).read().select(schema().names).cast(schema())
        except (OSError, ValueError, KeyError) as error:
            fault = str(error).splitlines()[0]
            raise InputError(f"{path}: is no file of a prediction log: {fault}") from None
        tables.append(table.filter(condition))
    return pa.concat_tables(tables)
