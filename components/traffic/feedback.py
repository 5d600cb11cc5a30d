"""Feedback in the database: kept with what it corrects, read, accepted, dropped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from components.base import InputError, in_utc
from components.traffic.answers import Asker, find_request
from components.traffic.entries import (
    NO_KEY,
    Correction,
    Feedback,
    Recorded,
    standing,
    votes,
)
from components.traffic.tables import FEEDBACK, SAID, traffic_database

MAX_STATEMENTS = 20
"""Of one voter on one turn; all of them are kept."""

ATTEMPTS = 20


class UnknownRequestError(InputError):
    """The log does not hold the request, or the turn of it, that feedback was given on."""

    http_status = 404


class TooManyStatementsError(InputError):
    """One voter has said too many things of one turn."""

    http_status = 409


class FeedbackStore:
    """Feedback in a database; several processes may write at the same time.

    Args:
        url: SQLAlchemy's; SQLite's file and its folder are made when first needed.

    Raises:
        InputError: it is no such URL, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._database = traffic_database(url)

    def record(self, correction: Correction, asker: Asker | None = None) -> Recorded:
        """Keep a correction, with the turn that it corrects.

        Args:
            asker: whose answer it must be; None: anybody's.

        Raises:
            UnknownRequestError: the asker was given no such answer, or it has no such turn.
            AmbiguousRequestError: the sender gave that id to several recordings.
            InputError: the version that answered does not know that emotion.
            TooManyStatementsError: the voter has said too many things of this turn.
            Unavailable: the database does not answer.
        """
        rows = find_request(self._database, correction.request_id, asker)
        row = answered_turn(correction.request_id, rows, correction.turn)
        if correction.emotion not in row["labels"]:
            known = ", ".join(row["labels"])
            raise InputError(
                f"emotion {correction.emotion!r}: name one of {known}, the labels of version"
                f" {row['version']}, which answered"
            )
        for _ in range(ATTEMPTS):
            before = self.of_turn(row["request_id"], correction.turn)
            entry = _entry(correction, row, max((e.number for e in before), default=0) + 1)
            before = [other for other in before if other.answered == entry.answered]
            own = [other for other in before if other.vote == entry.vote]
            if own and own[-1].emotion == entry.emotion:
                return _recorded(own[-1], before, new=False)
            if len(own) >= MAX_STATEMENTS:
                raise TooManyStatementsError(
                    f"turn {correction.turn} has {len(own)} statements by this sender already"
                )
            with self._database.begin() as connection:
                try:
                    connection.execute(insert(FEEDBACK).values(asdict(entry)))
                except IntegrityError:
                    connection.rollback()
                    continue  # somebody else wrote this number: look again
            return _recorded(entry, [*before, entry], new=True)
        raise TimeoutError("too many write feedback on one turn at the same time")

    def of_turn(self, request_id: str, turn: int) -> list[Feedback]:
        """A turn's entries, in the order in which they came."""
        return self._select(FEEDBACK.c.request_id == request_id, FEEDBACK.c.turn == turn)

    def drop(
        self,
        *,
        author: str | None = None,
        request: str | None = None,
        since: datetime | None = None,
    ) -> int:
        """Delete the entries to which all of this applies; how many there were.

        Args:
            author: who said so: an author, or the name of an API key.
            request: the request_id of the answer.
            since: given then or later.

        Raises:
            Unavailable: the database does not answer.
        """
        conditions: list[Callable[[sa.Table], sa.ColumnElement[bool]]] = []
        if author is not None:
            conditions.append(lambda table: or_(table.c.author == author, table.c.voter == author))
        if request is not None:
            conditions.append(lambda table: table.c.request_id == request)
        if since is not None:
            conditions.append(lambda table: table.c.given >= since.astimezone(UTC))
        return sum(
            self._delete(table, *(condition(table) for condition in conditions)) for table in SAID
        )

    def drop_origin(self, origin: str) -> int:
        """Delete what came from one key and was not accepted; how many entries there were."""
        return self._delete(FEEDBACK, *_pending(origin))

    def accept(self, entries: Iterable[Feedback]) -> int:
        """Mark entries as accepted by a person; how many of them are still there."""
        names = ("request_id", "turn", "number", "given")
        this = (FEEDBACK.c[name] == bindparam(f"this_{name}") for name in names)
        accepted = update(FEEDBACK).where(*this).values(accepted=True)
        rows = [{f"this_{name}": getattr(entry, name) for name in names} for entry in entries]
        with self._database.begin() as connection:
            return sum(connection.execute(accepted, row).rowcount for row in rows)

    def _delete(self, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
        if not self._database.exists:
            return 0
        with self._database.begin() as connection:
            dropped = connection.execute(delete(table).where(*conditions)).rowcount
        self._database.empty_wal()
        return dropped

    def entries(self, since: datetime | None = None) -> list[Feedback]:
        """All entries on what was answered since then, by request and turn.

        None, and no file is made, where nobody wrote one yet.

        Raises:
            Unavailable: the database does not answer.
        """
        if not self._database.exists:
            return []
        return self._select(*(() if since is None else (FEEDBACK.c.time >= since.astimezone(UTC),)))

    @classmethod
    def read(cls, url: str, since: datetime | None = None) -> list[Feedback]:
        """`entries` of a database that nobody holds open."""
        with closing(cls(url)) as store:
            return store.entries(since)

    def close(self) -> None:
        """Let go of the connections."""
        self._database.close()

    def _select(self, *conditions: Any) -> list[Feedback]:
        order = (FEEDBACK.c.request_id, FEEDBACK.c.turn, FEEDBACK.c.number)
        with self._database.begin() as connection:
            rows = connection.execute(select(FEEDBACK).where(*conditions).order_by(*order))
            entries = [Feedback(**row._asdict()) for row in rows]
        return [
            replace(e, given=in_utc(e.given), time=in_utc(e.time), accepted=bool(e.accepted))
            for e in entries
        ]


def _pending(origin: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions: an entry comes from that key, and nobody has accepted it."""
    voter = FEEDBACK.c.voter
    mine = or_(voter.is_(None), voter == "") if origin == NO_KEY else voter == origin
    return mine, FEEDBACK.c.accepted.is_not(True)


def answered_turn(
    request_id: str, rows: Sequence[Mapping[str, Any]], turn: int | None = None
) -> Mapping[str, Any]:
    """The row of a turn of an answer; of any one where None.

    Args:
        rows: of the answer, as `find_request` finds them.

    Raises:
        UnknownRequestError: there is no such answer, or it has no such turn.
    """
    turns = {row["turn"]: row for row in rows if row["turn"] is not None}
    name = repr(request_id)
    if not rows:
        raise UnknownRequestError(f"no request {name} is in the log; take the answer's request_id")
    if turn is None:
        return rows[0]
    if turn not in turns:
        raise UnknownRequestError(
            f"request {name} has {len(turns)} turns, counted from 0; there is no turn {turn}"
        )
    return turns[turn]


def _entry(correction: Correction, row: Mapping[str, Any], number: int) -> Feedback:
    names = ("request_id", "recording", "time", "version", "confidence", "speaker", "start", "end")
    answer = {name: row[name] for name in names} | {"predicted": row["emotion"]}
    said, labels = asdict(correction) | answer, tuple(row["labels"])
    return Feedback(**said, labels=labels, number=number, given=datetime.now(UTC))


def _recorded(entry: Feedback, entries: Sequence[Feedback], *, new: bool) -> Recorded:
    against = sum(other.emotion != entry.emotion for other in votes(entries))
    return Recorded(entry, new, against, standing(entries)[0].emotion)
