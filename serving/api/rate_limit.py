"""How often each API key was used in this minute, counted over all copies of the service."""

from sqlalchemy import Column, Integer, String, Table, delete
from sqlalchemy.dialects import postgresql, sqlite

from components.conversation import Seconds
from serving.api.database import METADATA, ServiceDatabase

USES = Table(
    "moodline_uses",
    METADATA,
    Column("key", String(100), primary_key=True),
    Column("minute", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
)


class RateLimiter:
    """Counts requests by key and minute; call it in a thread.

    Args:
        database: of all copies.
    """

    def __init__(self, database: ServiceDatabase) -> None:
        self._database = database

    def count(self, key: str) -> tuple[int, Seconds]:
        """Count one more request of a key.

        Returns:
            How many there were in this minute, this one included, and the seconds until the next.

        Raises:
            DatabaseAwayError: the database does not answer.
        """
        upsert = (sqlite if self._database.is_sqlite else postgresql).insert(USES)
        with self._database.begin() as connection:
            now = self._database.now(connection)
            minute = int(now // 60)
            counted = (
                upsert.values(key=key, minute=minute, count=1)
                .on_conflict_do_update(
                    index_elements=[USES.c.key, USES.c.minute], set_={"count": USES.c.count + 1}
                )
                .returning(USES.c.count)
            )
            count = int(connection.execute(counted).scalar_one())
            if count == 1:
                old = (USES.c.key == key, USES.c.minute < minute - 1)
                connection.execute(delete(USES).where(*old))
            return count, 60 - now % 60
