"""The tables of the database: turns as they were answered, feedback on them, what was erased."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    exists,
    select,
)

from components.base import Database

METADATA = MetaData()

_ID = BigInteger().with_variant(Integer, "sqlite")
_TIME = DateTime(timezone=True)

TURNS = Table(
    "moodline_turns",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("request_id", Text, nullable=False, index=True),
    Column("recording", Text, nullable=False, index=True),
    Column("time", _TIME, nullable=False, index=True),
    Column("route", Text),
    Column("version", BigInteger),
    Column("alias", Text),
    Column("audio", Boolean),
    Column("turn", Integer),
    Column("start", Float),
    Column("end", Float),
    Column("speaker", Text),
    Column("emotion", Text),
    Column("confidence", Float),
    Column("probabilities", LargeBinary),
    Column("entropy", Float),
    Column("embedding", LargeBinary),
    Column("duration", Float),
    Column("words_per_second", Float),
    Column("loudness_db", Float),
    Column("snr_db", Float),
    Column("asr_confidence", Float),
    Column("text", Text),
)
"""A row a turn; a request without turns has one row, `turn` null. Vectors are float32, little
endian."""

COLUMNS = tuple(column.name for column in TURNS.c if column.name != "id")

_HAS_TEXT = TURNS.c.text.is_not(None)
Index("ix_moodline_turns_text", TURNS.c.time, sqlite_where=_HAS_TEXT, postgresql_where=_HAS_TEXT)

FEEDBACK = Table(
    "moodline_feedback",
    METADATA,
    Column("request_id", String(100), primary_key=True),
    Column("turn", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("emotion", String(100), nullable=False),
    Column("source", String(100), nullable=False),
    Column("author", String(100), nullable=False),
    Column("given", _TIME, nullable=False),
    Column("recording", String(100), nullable=False, index=True),
    Column("time", _TIME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("predicted", String(100), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("speaker", String(100), nullable=False),
    Column("start", Float, nullable=False),
    Column("end", Float, nullable=False),
)

ERASED = Table(
    "moodline_erased",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("recording", Text, nullable=False, index=True),
    Column("time", _TIME, nullable=False),
)
"""Erasures. A turn of such a recording that was answered before one does not count, even if a
writer adds it afterwards."""

MIGRATED = Table("moodline_migrated", METADATA, Column("name", Text, primary_key=True))
"""Files of an older log whose rows are in `TURNS`."""


def counts() -> ColumnElement[bool]:
    """Condition: a turn's recording was not erased since the answer."""
    return ~exists().where(ERASED.c.recording == TURNS.c.recording, ERASED.c.time >= TURNS.c.time)


def is_late() -> tuple[ColumnElement[bool], ...]:
    """Conditions: a turn was written after its recording was erased. The first uses an index."""
    return TURNS.c.recording.in_(select(ERASED.c.recording)), ~counts()


def traffic_database(url: str, *, synchronous: str = "FULL") -> Database:
    """The database of log and feedback (see `components.base.Database`)."""
    return Database(url, "the feedback's", METADATA, synchronous=synchronous)
