"""Documents of many recordings in one Parquet file: what a pipeline's step leaves to the next.

    recording   kind          document
    call-17     transcripts   {"segments": [{"start": 0.5, …}]}             WhisperX's JSON
    call-17     speakers      SPEAKER call-17 1 0.500000 1.500000 …         RTTM
    call-17     exclusive     SPEAKER call-17 1 0.500000 0.900000 …         RTTM
    call-17     scores        AAQAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQi…   frame scores, base64
    call-17     turns         [{"session_id": "call-17", …}]                SegLST
    call-17     reference     [{"session_id": "call-17", …}]                SegLST

A document is the text that a file of that format would hold. A cluster moves artifacts file by
file, one after the other, so a file for each recording would take longer than the work. DuckDB and
pandas read the file as any other Parquet:

    select document from read_parquet('turns') where recording = 'call-17'
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from components.base.errors import InputError
from components.base.files import atomic_path

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

TRANSCRIPTS, SPEAKERS, EXCLUSIVE, SCORES, TURNS, REFERENCE = (
    "transcripts", "speakers", "exclusive", "scores", "turns", "reference",
)  # fmt: skip
"""Kinds of documents. `EXCLUSIVE` has one speaker at a time, `SPEAKERS` has overlapping speech.
`SCORES` belong to both (`FrameScores`); they are empty where a diarizer tells none."""

ROW_GROUP = 8 << 20
"""Characters of a row group: a reader's and a writer's memory holds one."""


class Document(NamedTuple):
    """What is known of a recording, in an interchange format."""

    recording: str
    kind: str
    text: str


COLUMNS = ("recording", "kind", "document")


def write_documents(path: Path, documents: Iterable[Document]) -> int:
    """Write documents in their order, whole or not at all; they are taken one by one.

    Returns:
        How many recordings they are of.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    recordings: set[str] = set()
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="zstd", use_dictionary=list(COLUMNS[:2]),
            write_page_checksum=True,
        ) as writer,
    ):  # fmt: skip
        for group in _groups(documents):
            recordings.update(document.recording for document in group)
            columns = [pa.array(values, pa.string()) for values in zip(*group, strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return len(recordings)


def _groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    group, size = list[Document](), 0
    for document in documents:
        group.append(document)
        size += len(document.text)
        if size >= ROW_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def read_documents(
    path: Path, kind: str, recordings: Collection[str] | None = None
) -> Iterator[tuple[str, str]]:
    """The recordings' names and their documents of one kind, in the file's order.

    Args:
        recordings: whose documents are wanted; None: all.

    Raises:
        InputError: no such file, or it is not such a file, or was cut short.
    """
    import pyarrow.compute as pc

    with _opened(path) as file:
        for number in range(file.num_row_groups):
            group = file.read_row_group(number, columns=list(COLUMNS))
            wanted = group.filter(pc.equal(group["kind"], kind))
            for name, text in zip(*(wanted[c].to_pylist() for c in COLUMNS[::2]), strict=True):
                if recordings is None or name in recordings:
                    yield name, text


def count_documents(path: Path) -> int:
    """How many documents there are of all kinds.

    Raises:
        InputError: as `read_documents`.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _opened(path: Path) -> "Iterator[ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for column in COLUMNS:
                if column not in file.schema_arrow.names:
                    raise InputError(
                        f"{path}: lacks the column {column}; see the step that made it"
                    )
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"{path}: is not Parquet, or was cut short ({first}); run the step that makes it again"
        ) from None


def unpack_documents(path: Path, kind: str, folder: Path, suffix: str) -> int:
    """Write documents of one kind as files, `<folder>/<recording><suffix>`; how many.

    Args:
        folder: made if need be.

    Raises:
        InputError: as `read_documents`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, text in read_documents(path, kind):
        (folder / f"{name}{suffix}").write_text(text, encoding="utf-8")
        count += 1
    return count
