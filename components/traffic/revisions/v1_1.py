"""Turns, feedback, what is under way, and the older log, as the last version without revisions had
them. Feedback of version 0.1 may be there, which lacks two columns; so may all the rest."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "1.1"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade(op: Operations) -> None:
    op.create_table(
        "moodline_turns",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("recording", sa.Text, nullable=False),
        sa.Column("time", _TIME, nullable=False),
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
        if_not_exists=True,
    )
    _add(op, "moodline_turns", sa.Column("owner", sa.Text), sa.Column("correlation", sa.Text))
    _index(op, "moodline_turns", "request_id", "recording", "time", "correlation")
    has_text = sa.text("text IS NOT NULL")
    op.create_index(
        "ix_moodline_turns_text",
        "moodline_turns",
        ["time"],
        if_not_exists=True,
        sqlite_where=has_text,
        postgresql_where=has_text,
    )
    op.create_table(
        "moodline_feedback",
        sa.Column("request_id", sa.String(100), primary_key=True),
        sa.Column("turn", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("emotion", sa.String(100), nullable=False),
        sa.Column("source", sa.String(100), nullable=False),
        sa.Column("author", sa.String(100), nullable=False),
        sa.Column("given", _TIME, nullable=False),
        sa.Column("recording", sa.String(100), nullable=False),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("predicted", sa.String(100), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("speaker", sa.String(100), nullable=False),
        sa.Column("start", sa.Float, nullable=False),
        sa.Column("end", sa.Float, nullable=False),
        if_not_exists=True,
    )
    _add(
        op,
        "moodline_feedback",
        sa.Column("voter", sa.String(100)),
        sa.Column("accepted", sa.Boolean),
    )
    _index(op, "moodline_feedback", "recording")
    op.create_table(
        "moodline_under_way",
        sa.Column("request_id", sa.String(100), primary_key=True),
        sa.Column("recording", sa.Text, nullable=False),
        sa.Column("began", _TIME, nullable=False),
        sa.Column("erased", sa.Boolean, nullable=False),
        if_not_exists=True,
    )
    _index(op, "moodline_under_way", "recording")
    op.create_table(
        "moodline_erased",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("recording", sa.Text, nullable=False),
        sa.Column("time", _TIME, nullable=False),
        if_not_exists=True,
    )
    _index(op, "moodline_erased", "recording")
    op.create_table(
        "moodline_migrated", sa.Column("name", sa.Text, primary_key=True), if_not_exists=True
    )


def _add(op: Operations, table: str, *columns: sa.Column[object]) -> None:
    """Add the columns that a table lacks; SQLite knows no “if not exists” for them."""
    known = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    for column in columns:
        if column.name not in known:
            op.add_column(table, column)


def _index(op: Operations, table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column], if_not_exists=True)
