"""Voice prints by key and name, in a schema of their own.

They are in none of the service's other tables, so that a backup of those holds no biometric data.
"""

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
