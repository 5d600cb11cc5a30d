"""The tables of the database: turns as they were answered, feedback on them, what is under way.

Who changes them adds a revision to `revisions` and names it in `SCHEMA`. A column that a table got
after version 0.1 is nullable: it is null in what that version wrote.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from components.base import Database, Schema
from components.conversation import DEFAULT_LABELS

METADATA = sa.MetaData()

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)


class Labels(sa.TypeDecorator[tuple[str, ...]]):
    """The labels of a model version, in its order, as JSON. What was written before versions had
    labels of their own holds none, and its versions had the default's."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Any) -> str | None:
        return None if value is None else json.dumps(list(value), ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Any) -> tuple[str, ...]:
        return DEFAULT_LABELS if value is None else tuple(json.loads(value))


TURNS = sa.Table(
    "moodline_turns",
    METADATA,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("request_id", sa.Text, nullable=False, index=True),
    sa.Column("recording", sa.Text, nullable=False, index=True),
    sa.Column("time", _TIME, nullable=False, index=True),
    sa.Column("route", sa.Text),
    sa.Column("version", sa.BigInteger),
    sa.Column("alias", sa.Text),
    sa.Column("audio", sa.Boolean),
    sa.Column("turn", sa.Integer),
    sa.Column("start", sa.Float),
    sa.Column("end", sa.Float),
    sa.Column("speaker", sa.Text),
    sa.Column("emotion", sa.Text),
    sa.Column("confidence", sa.Float),
    sa.Column("probabilities", sa.LargeBinary),
    sa.Column("entropy", sa.Float),
    sa.Column("embedding", sa.LargeBinary),
    sa.Column("duration", sa.Float),
    sa.Column("words_per_second", sa.Float),
    sa.Column("loudness_db", sa.Float),
    sa.Column("snr_db", sa.Float),
    sa.Column("asr_confidence", sa.Float),
    sa.Column("text", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("correlation", sa.Text, index=True),
    sa.Column("labels", Labels),
    sa.Column("uncertain", sa.Boolean),
)
"""A row a turn; a request without turns has one row, `turn` null. Vectors are float32, little
endian; `probabilities` are in the order of `labels`, which are those of the version that answered.
`uncertain` tells whether the answer was marked so; null: it was logged before revision 1.3.
`owner` is the API key that asked, hashed (see `owner_id`), and "" where no key was needed.
`correlation` is the id that the sender gave the request; several requests may share one. Both are
null in what version 0.1 logged, and its `request_id` may be the sender's."""

COLUMNS = tuple(column.name for column in TURNS.c if column.name != "id")

EXPORTED = tuple(name for name in COLUMNS if name not in ("owner", "correlation"))
"""The columns that Arrow and Parquet hold."""

_HAS_TEXT = TURNS.c.text.is_not(None)
sa.Index("ix_moodline_turns_text", TURNS.c.time, sqlite_where=_HAS_TEXT, postgresql_where=_HAS_TEXT)

FEEDBACK = sa.Table(
    "moodline_feedback",
    METADATA,
    sa.Column("request_id", sa.String(100), primary_key=True),
    sa.Column("turn", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("emotion", sa.String(100), nullable=False),
    sa.Column("source", sa.String(100), nullable=False),
    sa.Column("author", sa.String(100), nullable=False),
    sa.Column("given", _TIME, nullable=False),
    sa.Column("recording", sa.String(100), nullable=False, index=True),
    sa.Column("time", _TIME, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("predicted", sa.String(100), nullable=False),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("speaker", sa.String(100), nullable=False),
    sa.Column("start", sa.Float, nullable=False),
    sa.Column("end", sa.Float, nullable=False),
    sa.Column("voter", sa.String(100)),
    sa.Column("accepted", sa.Boolean),
    sa.Column("labels", Labels),
)
"""An entry a row. `voter` is the name of the API key that said it, "" where none was needed, and
null in what version 0.1 wrote. `accepted` is true once a person has accepted the entry. `labels`
are those of the version that answered."""

SPEAKER_FEEDBACK = sa.Table(
    "moodline_speaker_feedback",
    METADATA,
    sa.Column("request_id", sa.String(100), primary_key=True),
    sa.Column("turn", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("speaker", sa.String(100), nullable=False),
    sa.Column("voter", sa.String(100), nullable=False),
    sa.Column("author", sa.String(100), nullable=False),
    sa.Column("given", _TIME, nullable=False),
    sa.Column("recording", sa.String(100), nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("answered", sa.String(100), nullable=False),
)
"""Who speaks in a turn, by what people say; a row an entry. `answered` is whom the answer named, as
the log has it; the other columns are as in `FEEDBACK`."""

SAID = FEEDBACK, SPEAKER_FEEDBACK
"""What people say."""

UNDER_WAY = sa.Table(
    "moodline_under_way",
    METADATA,
    sa.Column("request_id", sa.String(100), primary_key=True),
    sa.Column("recording", sa.Text, nullable=False, index=True),
    sa.Column("began", _TIME, nullable=False),
    sa.Column("erased", sa.Boolean, nullable=False),
)
"""Recordings that are being analysed. An erasure marks them, and a marked one is not kept."""

ERASED = sa.Table(
    "moodline_erased",
    METADATA,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("recording", sa.Text, nullable=False, index=True),
    sa.Column("time", _TIME, nullable=False),
)
"""Erasures by version 0.1, while some of its files are not in the database yet. A turn of such a
recording that was answered before its erasure does not count."""

MIGRATED = sa.Table("moodline_migrated", METADATA, sa.Column("name", sa.Text, primary_key=True))
"""Files of an older log whose rows are in `TURNS`."""


SCHEMA = Schema("feedback", METADATA, Path(__file__).with_name("revisions"), head="1.4")


def counts() -> sa.ColumnElement[bool]:
    """Condition: a turn's recording was not erased since the answer."""
    return ~sa.exists().where(
        ERASED.c.recording == TURNS.c.recording, ERASED.c.time >= TURNS.c.time
    )


def is_late() -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions: a turn was written after its recording was erased. The first uses an index."""
    return TURNS.c.recording.in_(sa.select(ERASED.c.recording)), ~counts()


def traffic_database(url: str, *, synchronous: str = "FULL") -> Database:
    """The database of log and feedback (see `components.base.Database`)."""
    return Database(url, "the feedback's", SCHEMA, synchronous=synchronous)
