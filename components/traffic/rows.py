"""A logged request: a line of JSON in a journal, a row a turn in Parquet."""

import base64
import hmac
import json
import math
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.conversation import EMOTIONS, Turn

if TYPE_CHECKING:
    import pyarrow as pa

MEASURES = ("duration", "words_per_second", "loudness_db", "snr_db")
"""The measures of `components.fusion.turn_measures`, in the log's order."""


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
class Answered:
    """A request that is answered.

    Attributes:
        request_id: the caller gives it back with feedback.
        recording: the recording's name, hashed (see `recording_id`).
        at: when.
        route: of the API.
        version: of the model that answered.
        alias: that the version had: production, staging or candidate.
        audio: whether the recording was kept.
        turns: in the order of the answer; none where nobody speaks.
    """

    request_id: str
    recording: str
    at: datetime
    route: str
    version: int
    alias: str
    audio: bool
    turns: tuple[LoggedTurn, ...]

    def line(self) -> bytes:
        """As a journal's line."""
        request = {
            "request_id": self.request_id,
            "recording": self.recording,
            "time": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "route": self.route,
            "version": self.version,
            "alias": self.alias,
            "audio": self.audio,
            "turns": [_entry(turn) for turn in self.turns],
        }
        return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _entry(logged: LoggedTurn) -> dict[str, Any]:
    turn, vector = logged.turn, logged.embedding
    probabilities = [float((turn.probabilities or {})[emotion]) for emotion in EMOTIONS]
    return {
        "start": turn.start,
        "end": turn.end,
        "speaker": turn.speaker,
        "emotion": turn.emotion,
        "confidence": turn.confidence,
        "probabilities": probabilities,
        "entropy": entropy(probabilities),
        # Text would be four times as long and ten times as slow to write.
        "embedding": None
        if vector is None
        else base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode(),
        **{name: logged.measures[name] for name in MEASURES},
        "asr_confidence": turn.asr_confidence,
        "text": logged.text,
    }


def entropy(probabilities: Iterable[float]) -> float:
    """How undecided an answer is, in bits: 0 is sure, 2 is a guess among four."""
    return -sum(p * math.log2(p) for p in probabilities if p > 0) or 0.0


def schema() -> "pa.Schema":
    """The columns of the log's Parquet files; a request without turns has one row, `turn` null."""
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
        ]
    )


def parse_line(line: bytes) -> list[dict[str, Any]]:
    """A journal's line as rows.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is none: torn, or damaged.
    """
    request = json.loads(line)
    turns = request.pop("turns")
    request["time"] = datetime.fromisoformat(request["time"])
    if not turns:
        return [request | {"turn": None}]
    rows = []
    for number, entry in enumerate(turns):
        vector = entry["embedding"]
        if vector is not None:
            entry["embedding"] = np.frombuffer(base64.b64decode(vector), dtype="<f4")
        rows.append(request | entry | {"turn": number})
    return rows


def read_journal(data: bytes) -> tuple["pa.Table", int]:
    """A journal's bytes as a table, and how many of its lines could not be read.

    A writer that was killed may leave its last line without an end.
    """
    import pyarrow as pa

    parsed, broken = [], 0
    for line in data.splitlines(keepends=True):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("torn")
            parsed.append(parse_line(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            broken += 1
    try:
        return to_table(row for rows in parsed for row in rows), broken
    except pa.ArrowException:  # somewhere a value of another kind: look for it line by line
        tables = [to_table([])]
        for rows in parsed:
            try:
                tables.append(to_table(rows))
            except pa.ArrowException:
                broken += 1
        return pa.concat_tables(tables), broken


def to_table(rows: Iterable[Mapping[str, Any]]) -> "pa.Table":
    """Rows as an Arrow table with `schema`."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), schema=schema())


def recording_key(folder: Path) -> bytes:
    """The log's own key, made when first asked for; the writers of a folder share it."""
    path = folder / "key"
    with suppress(FileNotFoundError):
        return path.read_bytes()
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
    """A recording's name as it stands in the log: only who has the key can look for one."""
    return hmac.digest(key, name.encode(), "sha256").hex()[:32]


def journals(folder: Path) -> Iterator[Path]:
    """The journals of a log, the newest first."""
    yield from sorted((folder / "journal").glob("[!.]*.jsonl"), reverse=True)


def unnamed_journals(folder: Path) -> Iterator[Path]:
    """The journals that hold nothing yet: their writers are about to begin, or died."""
    yield from (folder / "journal").glob(".*.jsonl")


def parquet_files(folder: Path) -> Iterator[Path]:
    """The Parquet files of a log, the newest first."""
    yield from sorted((folder / "turns").glob("day=*/[!.]*.parquet"), reverse=True)
