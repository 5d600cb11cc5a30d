"""Jobs and the use of keys, as version 0.1 had them but for two indexes: they may be there."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "1.1"
down_revision = None


def upgrade(op: Operations) -> None:
    op.create_table(
        "moodline_jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("recording", sa.String(100), nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("leased_by", sa.String(32)),
        sa.Column("leased_until", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("reason", sa.Text),
        if_not_exists=True,
    )
    for column in ("owner", "state"):
        op.create_index(f"ix_moodline_jobs_{column}", "moodline_jobs", [column], if_not_exists=True)
    op.create_table(
        "moodline_uses",
        sa.Column("key", sa.String(100), primary_key=True),
        sa.Column("minute", sa.Integer, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        if_not_exists=True,
    )
