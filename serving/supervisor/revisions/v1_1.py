"""The leases of those who steer.

A row is one lease: who holds it, and until when nobody else may take it, in seconds since 1970 by
the server's clock. Its name is MOODLINE_SERVE_LEASE.
"""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "1.1"
down_revision = None


def upgrade(op: Operations) -> None:
    op.create_table(
        "moodline_leases",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("holder", sa.String(100), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
