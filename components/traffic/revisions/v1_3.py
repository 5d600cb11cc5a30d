"""Whether each answer was marked as uncertain. Null: it was logged before that was."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "1.3"
down_revision = "1.2"

TABLE = "moodline_turns"


def upgrade(op: Operations) -> None:
    if not _says_uncertain(op):
        op.add_column(TABLE, sa.Column("uncertain", sa.Boolean))


def _says_uncertain(op: Operations) -> bool:
    """SQLite knows no “if not exists” for columns."""
    columns = sa.inspect(op.get_bind()).get_columns(TABLE)
    return any(column["name"] == "uncertain" for column in columns)
