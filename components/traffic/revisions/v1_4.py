"""Who speaks in a turn, by what people say; what they say of emotions has a table of its own."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "1.4"
down_revision = "1.3"

TABLE = "moodline_speaker_feedback"


def upgrade(op: Operations) -> None:
    if sa.inspect(op.get_bind()).has_table(TABLE):
        return
    op.create_table(
        TABLE,
        sa.Column("request_id", sa.String(100), primary_key=True),
        sa.Column("turn", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("speaker", sa.String(100), nullable=False),
        sa.Column("voter", sa.String(100), nullable=False),
        sa.Column("author", sa.String(100), nullable=False),
        sa.Column("given", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recording", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("answered", sa.String(100), nullable=False),
    )
    op.create_index(f"ix_{TABLE}_recording", TABLE, ["recording"])
