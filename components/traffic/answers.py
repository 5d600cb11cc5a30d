"""Which answer a request's id means, and whose it is.

An answer has an id of the service's own. The id that its sender gave it is taken, too, while it
means one recording. Version 0.1 knew a request by the sender's id alone, and not by its key.
"""

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import or_, select

from components.base import Database, InputError
from components.traffic.rows import to_table
from components.traffic.tables import EXPORTED, TURNS, counts, traffic_database

_NAMED = 5
"""Ids that an error's text lists at most."""


class AmbiguousRequestError(InputError):
    """The sender gave one id to several recordings."""

    http_status = 409


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for an answer, and what is known of it.

    Attributes:
        owner: the API key that asks, as `owner_id` gives it; "" where no key is needed.
        recordings: the recording that is meant, by each name that it may have in the log; none:
            any. Of an answer that was given before there were keys, it shows whose that is.
    """

    owner: str = ""
    recordings: Collection[str] = ()

    def owns(self, owner: str | None, recording: str) -> bool:
        """Whether an answer that was given to `owner` (None: version 0.1) is the asker's."""
        if self.recordings and recording not in self.recordings:
            return False
        return owner == self.owner or (not owner and (not self.owner or bool(self.recordings)))


def find_request(
    database: Database, request_id: str, asker: Asker | None = None
) -> list[dict[str, Any]]:
    """The rows of an answer, by turn; none if the log has no such answer of the asker's.

    Args:
        request_id: the answer's own id, or the one that its sender gave it.
        asker: None: whoever may read the database.

    Raises:
        AmbiguousRequestError: the sender gave that id to several recordings.
        Unavailable: the database does not answer.
    """
    names = (TURNS.c.request_id, TURNS.c.correlation)
    query = select(*(TURNS.c[name] for name in EXPORTED), TURNS.c.owner)
    query = query.where(or_(*(name == request_id for name in names)), counts())
    with database.begin() as connection:
        found = connection.execute(query).all()
    rows = to_table([row[:-1] for row in found]).to_pylist()
    owners = [row.owner for row in found]
    answers: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row, owner in zip(rows, owners, strict=True):
        if asker is None or asker.owns(owner, row["recording"]):
            is_own = row["request_id"] == request_id and owner is not None
            key = (is_own, row["time"], row["request_id"], row["recording"])
            answers.setdefault(key, []).append(row)
    if not answers:
        return []
    last = max(answers)
    if not last[0]:  # not an id of the service's own
        _check_one(request_id, list(answers.values()))
    return sorted(answers[last], key=lambda row: row["turn"] or 0)


def _check_one(request_id: str, answers: Collection[list[dict[str, Any]]]) -> None:
    """Refuse an id of several recordings. A request that was sent again is the same one."""
    if len({_shape(rows) for rows in answers}) == 1:
        return
    own = sorted({rows[0]["request_id"] for rows in answers} - {request_id})
    listed = f": {', '.join(own[:_NAMED])}{', …' if len(own) > _NAMED else ''}" if own else ""
    raise AmbiguousRequestError(
        f"the id {request_id!r} was given to {len(answers)} different requests; name the request_id"
        f" that the answer holds{listed}, or the recording beside it"
    )


def _shape(rows: Collection[Mapping[str, Any]]) -> tuple[Any, ...]:
    """What tells a recording from another one: its name, and when somebody speaks in it."""
    turns = sorted(
        (row["turn"], row["start"], row["end"]) for row in rows if row["turn"] is not None
    )
    return (next(iter(rows))["recording"], *turns)


def versions_that_answered(url: str, since: datetime) -> set[int]:
    """The model versions that answered since then.

    Args:
        url: of the database of log and feedback.

    Raises:
        Unavailable: the database does not answer.
    """
    with closing(traffic_database(url)) as database:
        if not database.exists:
            return set()
        late = TURNS.c.version.is_not(None), TURNS.c.time >= since.astimezone(UTC)
        with database.begin() as connection:
            query = select(TURNS.c.version).where(*late).distinct()
            return {int(version) for version in connection.execute(query).scalars()}
