"""The database that copies of the service share: SQLite by default, PostgreSQL by settings."""

import time
from pathlib import Path

from sqlalchemy import MetaData, func, select
from sqlalchemy.engine import Connection

from components.base import Database, Schema

METADATA = MetaData()
"""Of the tables of jobs and of the use of keys."""

SCHEMA = Schema("service", METADATA, Path(__file__).with_name("revisions"), head="1.1")


class ServiceDatabase(Database):
    """The database of jobs and of the use of keys, by SQLAlchemy's URL; it may be away at first."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "the service's", SCHEMA, synchronous="NORMAL")

    def now(self, connection: Connection) -> float:
        """Seconds since 1970, by the one clock that all copies share."""
        if self.is_sqlite:
            return time.time()
        clock = select(func.extract("epoch", func.clock_timestamp()))
        return float(connection.execute(clock).scalar_one())
