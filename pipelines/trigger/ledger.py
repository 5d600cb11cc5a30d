"""The trigger's ledger: each cause, its outcome and the run it started. Lines are only ever added.

Several receivers may share the database: an entry's number is taken once, and who loses it looks
again at what the winner wrote before deciding.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from components.base import Database, Unavailable, in_utc

if TYPE_CHECKING:
    from sqlalchemy import Table

_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger.

    Attributes:
        number: from 1, in order.
        time: when.
        cause: its key.
        kind: "alert" or "data".
        name: the alert's, or the folder.
        outcome: starting, then started or failed; rehearsed; cooldown, budget; resolved.
        why: one line: the alert's summary, why it was refused, or how it failed.
        url: where the alert can be looked at.
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


class Ledger:
    """The entries in a database.

    Args:
        url: SQLAlchemy's; SQLite's file and its folder are made when first needed.
    """

    def __init__(self, url: str) -> None:
        self._table = _table()
        self._engine = Database(url, "the trigger's", self._table.metadata).open()

    def entries(self) -> list[Entry]:
        """All of them, in order; there are a few a day."""
        from sqlalchemy import select

        with self._engine.connect() as connection:
            rows = connection.execute(select(self._table).order_by(self._table.c.number))
            return [Entry(**{**row._asdict(), "time": in_utc(row.time)}) for row in rows]

    def append(self, make: Callable[[Sequence[Entry]], Entry | None]) -> Entry | None:
        """Add what `make` says of the entries so far; it is asked again if others were faster.

        Args:
            make: the next entry, or None if there is nothing to add. Its number is set here.
        """
        from dataclasses import replace

        from sqlalchemy import insert
        from sqlalchemy.exc import IntegrityError

        for _ in range(_ATTEMPTS):
            before = self.entries()
            entry = make(before)
            if entry is None:
                return None
            entry = replace(entry, number=len(before) + 1)
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(self._table).values(asdict(entry)))
            except IntegrityError:
                continue
            return entry
        raise Unavailable("too many write into the trigger's ledger at the same time")

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _table() -> "Table":
    from sqlalchemy import Column, DateTime, Integer, MetaData, Text
    from sqlalchemy import Table as NewTable

    kinds: dict[str, Any] = {"number": Integer, "time": DateTime(timezone=True)}
    return NewTable(
        "moodline_trigger",
        MetaData(),
        *(
            Column(
                field.name,
                kinds.get(field.name, Text),
                primary_key=field.name == "number",
                nullable=False,
                autoincrement=False,
            )
            for field in fields(Entry)
        ),
    )
