"""The trigger's ledger, as version 0.1 had it: it may be there."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "1.1"
down_revision = None


def upgrade(op: Operations) -> None:
    op.create_table(
        "moodline_trigger",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        if_not_exists=True,
    )
