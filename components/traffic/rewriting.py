"""Leaves recordings out of the files that pipelines make of many: manifests, and Parquet."""

import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from components.base import atomic_path
from components.conversation import SOURCES
from components.conversation.manifest import NAME as MANIFEST

PARQUET = b"PAR1"
"""What such a file begins with."""


def rewrite(path: Path, names: Collection[str]) -> bool:
    """Leave recordings out of a file that lists several; whether one was in it."""
    if path.name not in (MANIFEST, SOURCES):
        return _rewrite_table(path, names)
    text = path.read_text(encoding="utf-8")
    if path.name == SOURCES:
        sources = json.loads(text)
        kept = {name: source for name, source in sources.items() if name not in names}
        new = json.dumps(kept, ensure_ascii=False, indent=1) if kept != sources else text
    else:
        lines = [line for line in text.splitlines(keepends=True) if line.strip()]
        new = "".join(line for line in lines if json.loads(line)["recording"] not in names)
    if new == text:
        return False
    with atomic_path(path) as temporary:
        temporary.write_text(new, encoding="utf-8")
    return True


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet: what a step of a pipeline leaves has no suffix."""
    if path.suffix not in ("", ".parquet"):
        return False
    with suppress(OSError), path.open("rb") as file:
        return file.read(4) == PARQUET
    return False


def _rewrite_table(path: Path, names: Collection[str]) -> bool:
    """Leave recordings out of a file of rows that each are of one; row group by row group."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    named = pa.array(sorted(names), pa.string())
    with suppress(pa.ArrowException), pq.ParquetFile(path) as file:  # not one of ours
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
    return False
