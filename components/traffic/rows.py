"""A logged request: a row a turn in the database, and the same in Arrow and Parquet."""

import hmac
import math
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from components.base import Location, MissingError, Unavailable, Url, in_utc
from components.conversation import DEFAULT_LABELS, Turn
from components.traffic.tables import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

MEASURES = ("duration", "words_per_second", "loudness_db", "snr_db")
"""The measures of `components.fusion.turn_measures`, in the log's order."""

VECTORS = ("probabilities", "embedding")
"""The columns that hold a vector: float32, little endian, in the database."""


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """A turn as it is logged.

    Attributes:
        turn: its times, speaker and emotion; its words are logged only where `text` is given.
        embedding: float32 [d], the model's; None where it is not logged.
        measures: duration, words_per_second, loudness_db and snr_db.
        text: its words, if the operator allows that.
    """

    turn: Turn
    embedding: np.ndarray | None
    measures: Mapping[str, float]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that is answered.

    Attributes:
        request_id: names this answer and no other one; the caller gives it back with feedback.
        recording: the recording's name, hashed (see `recording_id`).
        time: of the answer.
        route: of the API.
        version: of the model that answered.
        alias: that the version had: production, staging or candidate.
        audio: whether the recording was kept.
        turns: in the order of the answer; none where nobody speaks.
        owner: the API key that asked, hashed (see `owner_id`).
        correlation: the sender's own id of the request; several requests may share one.
        labels: of that version, in its order.
    """

    request_id: str
    recording: str
    time: datetime
    route: str
    version: int
    alias: str
    audio: bool
    turns: tuple[LoggedTurn, ...]
    owner: str = ""
    correlation: str | None = None
    labels: tuple[str, ...] = DEFAULT_LABELS

    def rows(self) -> list[dict[str, Any]]:
        """As rows of the database; a request without turns is one row without a turn."""
        names = [field.name for field in fields(self) if field.name not in ("time", "turns")]
        request = {name: getattr(self, name) for name in names}
        request["time"] = self.time.astimezone(UTC)
        turns = [_turn_columns(turn, self.labels) for turn in self.turns]
        numbered = [columns | {"turn": number} for number, columns in enumerate(turns)]
        return [{**dict.fromkeys(COLUMNS), **request, **turn} for turn in numbered or [{}]]


def _turn_columns(logged: LoggedTurn, labels: Iterable[str]) -> dict[str, Any]:
    turn = logged.turn
    probabilities = [float((turn.probabilities or {})[label]) for label in labels]
    names = ("start", "end", "speaker", "emotion", "confidence", "asr_confidence")
    return {
        **{name: getattr(turn, name) for name in names},
        **{name: float(logged.measures[name]) for name in MEASURES},
        "probabilities": to_bytes(probabilities),
        "entropy": entropy(probabilities),
        "uncertain": bool(turn.uncertain),
        "embedding": to_bytes(logged.embedding),
        "text": logged.text,
    }


def to_bytes(vector: Sequence[float] | np.ndarray | None) -> bytes | None:
    """A vector as the database holds it."""
    return None if vector is None else np.asarray(vector, dtype="<f4").tobytes()


def entropy(probabilities: Iterable[float]) -> float:
    """How undecided an answer is, in bits: 0 is sure, log2(n) is a guess among n labels."""
    return -sum(p * math.log2(p) for p in probabilities if p > 0) or 0.0


def schema() -> "pa.Schema":
    """The columns in Arrow and Parquet; a request without turns has one row, `turn` null."""
    import pyarrow as pa

    number, vector = pa.float32(), pa.list_(pa.float32())
    return pa.schema(
        [
            pa.field("request_id", pa.string(), nullable=False),
            pa.field("recording", pa.string(), nullable=False),
            pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
            ("route", pa.string()),
            ("version", pa.int64()),
            ("alias", pa.string()),
            ("audio", pa.bool_()),
            ("turn", pa.int32()),
            ("start", pa.float64()),
            ("end", pa.float64()),
            ("speaker", pa.string()),
            ("emotion", pa.string()),
            ("confidence", number),
            ("probabilities", vector),
            ("entropy", number),
            ("embedding", vector),
            *((name, number) for name in MEASURES),
            ("asr_confidence", number),
            ("text", pa.string()),
            ("labels", _labels_type()),
            ("uncertain", pa.bool_()),
        ]
    )


def _labels_type() -> "pa.DataType":
    import pyarrow as pa

    return pa.list_(pa.string())


def with_schema(table: "pa.Table") -> "pa.Table":
    """A file's rows with the columns of `schema`. One from before versions had labels of their own
    lacks those: they were the default's. One from before answers could be uncertain tells nothing
    of that: the column is null.

    Raises:
        KeyError, ValueError: it is no file of a log.
    """
    import pyarrow as pa

    if "labels" not in table.column_names:
        default = pa.scalar(list(DEFAULT_LABELS), _labels_type())
        table = table.append_column("labels", pa.repeat(default, len(table)))
    if "uncertain" not in table.column_names:
        table = table.append_column("uncertain", pa.nulls(len(table), pa.bool_()))
    return table.select(schema().names).cast(schema())


def to_table(rows: Sequence[Sequence[Any]]) -> "pa.Table":
    """Rows of the database, their columns in the order of `schema`, as an Arrow table."""
    import pyarrow as pa

    columns = schema()
    if not rows:
        return columns.empty_table()
    arrays = []
    for field, values in zip(columns, zip(*rows, strict=True), strict=True):
        if field.name in VECTORS:
            arrays.append(_vectors(values))
        elif field.name == "time":
            arrays.append(pa.array(map(in_utc, values), field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.table(arrays, schema=columns)


def _vectors(values: Sequence[bytes | None]) -> "pa.ListArray":
    import pyarrow as pa

    ends = np.cumsum([0, *(len(value or b"") // 4 for value in values)])
    numbers = np.frombuffer(b"".join(value or b"" for value in values), "<f4")
    return pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()),
        pa.array(numbers),
        mask=pa.array([value is None for value in values]),
    )


class KeyMissingError(Unavailable):
    """The log names recordings by a key that is not in its folder, so they cannot be found."""

    answer = "the prediction log's key is not there, so nothing was done; tell the operator"

    def __init__(self, folder: Location) -> None:
        super().__init__(
            f"{folder / 'key'}: is not there, and without it no recording in the log can be "
            "found by its name; set MOODLINE_LOG to the folder of the service's log, or put its "
            "key back there"
        )


def known_key(folder: Location) -> bytes | None:
    """The log's own key, if there is one yet.

    Raises:
        OSError, Unavailable: nobody can tell.
    """
    with suppress(FileNotFoundError, MissingError):
        return (folder / "key").read_bytes()
    return None


def recording_key(folder: Location) -> bytes:
    """The log's own key, made when first asked for; the writers of a folder share it."""
    if key := known_key(folder):
        return key
    if isinstance(folder, Url):
        (folder / "key").put_new(secrets.token_bytes(32))
        return (folder / "key").read_bytes()  # another writer's, if it was faster
    path = folder / "key"
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / f".key-{secrets.token_hex(8)}"
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    with suppress(FileExistsError):  # another writer was faster: its key counts
        os.link(own, path)
    own.unlink()
    return path.read_bytes()


def recording_id(name: str, key: bytes) -> str:
    """A recording's name as the log holds it: hashed with the log's key."""
    return hmac.digest(key, name.encode(), "sha256").hex()[:32]


def owner_id(owner: str, key: bytes) -> str:
    """The name of an API key as the log holds it, hashed with the log's key; none stays none."""
    return recording_id(f"owner of recordings\0{owner}", key) if owner else ""
