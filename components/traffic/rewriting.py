"""Leaves recordings out of the files that pipelines make of many: manifests, and Parquet.

Other teams' files lie beside ours, also under our names, and a file may be damaged. What cannot be
read as ours is passed over and logged: it must never stop an erasure of the rest.
"""

import json
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from components.base import MoodlineError, atomic_path
from components.conversation import SOURCES
from components.conversation.manifest import NAME as MANIFEST

logger = logging.getLogger(__name__)

PARQUET = b"PAR1"
"""What such a file begins with."""


def rewrite(path: Path, names: Collection[str], place: object = None) -> bool:
    """Leave recordings out of a file that lists several; whether one was in it.

    Args:
        place: where the file comes from, for messages; None: from its path.

    Raises:
        OSError, MoodlineError: this machine cannot read or write it.
    """
    import pyarrow as pa

    try:
        if path.name == SOURCES:
            return _rewrite_sources(path, names)
        if path.name == MANIFEST:
            return _rewrite_manifest(path, names, place or path)
        return _rewrite_table(path, names)
    except MoodlineError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        fault: Exception = error  # Arrow's word for a damaged page
    except (ValueError, RecursionError, pa.ArrowException) as error:
        fault = error
    _pass_over(place or path, fault)
    return False


def read_sources(content: bytes, place: object) -> dict[str, Mapping[str, Any]]:
    """Where the recordings of a corpus came from (`SOURCES`); of a file that is not ours, nothing.

    Args:
        place: where the file lies, for messages.
    """
    try:
        sources = json.loads(content)
    except (ValueError, RecursionError) as error:
        _pass_over(place, error)
        return {}
    found = sources.items() if isinstance(sources, dict) else ()
    return {
        name: source
        for name, source in found
        if isinstance(source, dict) and isinstance(source.get("recording"), str)
    }


def older(sources: Mapping[str, Mapping[str, Any]], oldest: float) -> set[str]:
    """The recordings that were kept before a time, in seconds since 1970."""
    found = set()
    for name, source in sources.items():
        with suppress(KeyError, TypeError, ValueError, OverflowError):  # some have no time
            if datetime.fromisoformat(source["time"]).timestamp() < oldest:
                found.add(name)
    return found


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet: what a step of a pipeline leaves has no suffix."""
    if path.suffix not in ("", ".parquet"):
        return False
    with suppress(OSError), path.open("rb") as file:
        return file.read(4) == PARQUET
    return False


def _rewrite_sources(path: Path, names: Collection[str]) -> bool:
    sources = json.loads(path.read_bytes())
    if not isinstance(sources, dict) or not sources.keys() & set(names):
        return False
    kept = {name: source for name, source in sources.items() if name not in names}
    _write(path, json.dumps(kept, ensure_ascii=False, indent=1))
    return True


def _rewrite_manifest(path: Path, names: Collection[str], place: object) -> bool:
    # Not `splitlines`: a value may hold a separator of lines that JSON does not escape.
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    rows = [_recording(line) for line in lines]
    if None in rows:
        _pass_over(place, f"{rows.count(None)} lines name no recording")
    kept = [line for line, name in zip(lines, rows, strict=True) if name not in names]
    if len(kept) == len(lines):
        return False
    _write(path, "".join(f"{line}\n" for line in kept))
    return True


def _recording(line: str) -> str | None:
    """What a line of a manifest is of; None for a line that Moodline did not write."""
    with suppress(ValueError, RecursionError):
        row = json.loads(line)
        name = row.get("recording") if isinstance(row, dict) else None
        return name if isinstance(name, str) else None
    return None


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _rewrite_table(path: Path, names: Collection[str]) -> bool:
    """Leave recordings out of a file of rows that each are of one; row group by row group."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    named = pa.array(sorted(names), pa.string())
    with pq.ParquetFile(path) as file:
        if "recording" not in file.schema_arrow.names:
            return False
        groups = range(file.num_row_groups)
        if not any(
            pc.any(pc.is_in(file.read_row_group(group, columns=["recording"])["recording"], named))
            .as_py() for group in groups
        ):  # fmt: skip
            return False
        with (
            atomic_path(path) as temporary,
            pq.ParquetWriter(temporary, file.schema_arrow, compression="zstd") as writer,
        ):
            for group in groups:
                table = file.read_row_group(group)
                kept = table.filter(pc.invert(pc.is_in(table["recording"], named)))
                if kept.num_rows:
                    writer.write_table(kept)
        return True


def _pass_over(place: object, fault: object) -> None:
    logger.warning("%s: is passed over, as not all of it is ours: %s", place, fault)
