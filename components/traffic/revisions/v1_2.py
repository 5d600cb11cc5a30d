"""The labels of the version that answered, with each turn and each entry of feedback: a version may
have others than the four that there were before. Null: those four."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "1.2"
down_revision = "1.1"

TABLES = ("moodline_turns", "moodline_feedback")


def upgrade(op: Operations) -> None:
    for table in TABLES:
        if not _has_labels(op, table):
            op.add_column(table, sa.Column("labels", sa.Text))


def _has_labels(op: Operations, table: str) -> bool:
    """SQLite knows no “if not exists” for columns."""
    columns = sa.inspect(op.get_bind()).get_columns(table)
    return any(column["name"] == "labels" for column in columns)
