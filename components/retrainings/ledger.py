"""The trigger's ledger: each cause, its outcome and the run it started. Lines are only ever added.

Several receivers may share the database: an entry's number is taken once, and who loses it looks
again at what the winner wrote before deciding.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, insert, select
from sqlalchemy.exc import IntegrityError

from components.base import Database, Schema, Unavailable, database_errors, in_utc, sqlite_path

_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger.

    Attributes:
        number: from 1, in order.
        time: when.
        cause: its key; `kind`, `name` and `url` are the cause's, too.
        outcome: starting, then started or failed; rehearsed; cooldown, budget; unchanged: nothing
            is new; resolved, then known if it soon fires again.
        why: one line: the alert's summary, why it was refused, or how it failed.
        run: what it started: a run's folder, or Kubeflow's id and address.
    """

    number: int
    time: datetime
    cause: str
    kind: str
    name: str
    outcome: str
    why: str
    url: str = ""
    run: str = ""


METADATA = MetaData()

_TABLE = Table(
    "moodline_trigger",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("time", DateTime(timezone=True), nullable=False),
    *(Column(field.name, Text, nullable=False) for field in fields(Entry)[2:]),
)

SCHEMA = Schema("trigger", METADATA, Path(__file__).with_name("revisions"), head="1.1")


class Ledger:
    """The entries in a database.

    Args:
        url: SQLAlchemy's; SQLite's file and its folder are made when first needed.
    """

    def __init__(self, url: str) -> None:
        self._engine = Database(url, "the trigger's", SCHEMA).open()

    def entries(self) -> list[Entry]:
        """All of them, in order; there are a few a day."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_TABLE).order_by(_TABLE.c.number))
            return [Entry(**{**row._asdict(), "time": in_utc(row.time)}) for row in rows]

    def append(self, make: Callable[[Sequence[Entry]], Entry | None]) -> Entry | None:
        """Add the entry that `make` returns for the entries so far; None adds nothing.

        `make` is called again if another receiver was faster. The number is set here.
        """
        for _ in range(_ATTEMPTS):
            before = self.entries()
            entry = make(before)
            if entry is None:
                return None
            entry = replace(entry, number=len(before) + 1)
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(_TABLE).values(asdict(entry)))
            except IntegrityError:
                continue
            return entry
        raise Unavailable("too many write into the trigger's ledger at the same time")

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def read_entries(url: str) -> list[Entry]:
    """The entries in a database; none, and no file is made, where nothing was ever written.

    Raises:
        InputError: it is no such URL, or its driver is not installed.
        DatabaseAwayError: the database does not answer.
    """
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return []
    with database_errors("the trigger's database"), closing(Ledger(url)) as ledger:
        return ledger.entries()
