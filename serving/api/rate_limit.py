"""How often each API key was used in this minute, counted over all copies of the service."""

from sqlalchemy import Column, Integer, String, Table, delete
from sqlalchemy.dialects import postgresql, sqlite

from components.conversation import Seconds
from serving.database import METADATA, ServiceDatabase

USES = Table(
    "moodline_uses",
    METADATA,
    Column("key", String(100), primary_key=True),
    Column("minute", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
)


def count_request(database: ServiceDatabase, key: str) -> tuple[int, Seconds]:
    """Count one more request of a key; call it in a thread.

    Returns:
        How many there were in this minute, this one included, and the seconds until the next.

    Raises:
        DatabaseAwayError: the database does not answer.
    """
    upsert = (sqlite if database.is_sqlite else postgresql).insert(USES)
    with database.begin() as connection:
        now = database.now(connection)
        minute = int(now // 60)
        once_more = upsert.values(key=key, minute=minute, count=1).on_conflict_do_update(
            index_elements=[USES.c.key, USES.c.minute], set_={"count": USES.c.count + 1}
        )
        count = int(connection.execute(once_more.returning(USES.c.count)).scalar_one())
        if count == 1:
            connection.execute(delete(USES).where(USES.c.key == key, USES.c.minute < minute - 1))
        return count, 60 - now % 60
