"""Voice prints by key and name."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "1.1"
down_revision = None


def upgrade(op: Operations) -> None:
    op.create_table(
        "moodline_voices",
        sa.Column("owner", sa.String(100), primary_key=True),
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
