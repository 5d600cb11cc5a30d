"""What people say a turn's emotion is, kept with what the model had said.

Entries are only ever added. Of several on one turn **the latest of a reviewer stands, else the
latest of an agent**: a reviewer listens to the recording, an agent remembers the call.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from components.base import InputError, in_utc
from components.conversation import EMOTIONS, Seconds
from components.traffic.tables import FEEDBACK, traffic_database
from components.traffic.turn_log import find_request

Source = Literal["agent", "reviewer"]
SOURCES: tuple[str, ...] = get_args(Source)
"""Who may say so; a later one outranks an earlier one."""

_ATTEMPTS = 20


class UnknownRequestError(InputError):
    """The log does not hold the request, or the turn of it, that feedback was given on."""

    http_status = 404


@dataclass(frozen=True, slots=True)
class Correction:
    """What somebody says.

    Attributes:
        request_id: of the answer that held the turn.
        turn: its place in that answer, from 0.
        emotion: the right one; the model's own confirms it.
        source: who says so: an agent or a reviewer.
        author: which one, where the caller tells.
    """

    request_id: str
    turn: int
    emotion: str
    source: str
    author: str = ""

    def __post_init__(self) -> None:
        if self.emotion not in EMOTIONS:
            raise InputError(f"emotion {self.emotion!r}: name one of {', '.join(EMOTIONS)}")
        if self.source not in SOURCES:
            raise InputError(f"source {self.source!r}: name one of {', '.join(SOURCES)}")


@dataclass(frozen=True, slots=True)
class Feedback:
    """An entry: a correction and the turn it corrects, as it was answered.

    Attributes:
        number: of the entry on its turn, from 1.
        given: when it was.
        recording: hashed, as in the log.
        time: of the answer.
        version: of the model that answered.
        predicted: its emotion.
    """

    request_id: str
    turn: int
    number: int
    emotion: str
    source: str
    author: str
    given: datetime
    recording: str
    time: datetime
    version: int
    predicted: str
    confidence: float
    speaker: str
    start: Seconds
    end: Seconds


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a correction.

    Attributes:
        entry: as it is kept.
        new: False where the same source's last feedback was the same; nothing was added.
        contradicts: how many entries on this turn name another emotion.
        stands: the turn's emotion by the rule.
    """

    entry: Feedback
    new: bool
    contradicts: int
    stands: str


class FeedbackStore:
    """Feedback in a database; several processes may write at the same time.

    Args:
        url: SQLAlchemy's; SQLite's file and its folder are made when first needed.

    Raises:
        InputError: it is no such URL, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._database = traffic_database(url)

    def record(self, correction: Correction) -> Recorded:
        """Keep a correction, with the turn that it corrects.

        Raises:
            UnknownRequestError: the log holds no such request or turn.
            Unavailable: the database does not answer.
        """
        row = _answer(correction, find_request(self._database, correction.request_id))
        for _ in range(_ATTEMPTS):
            before = self.of_turn(correction.request_id, correction.turn)
            author = (correction.source, correction.author)
            same = next((e for e in reversed(before) if (e.source, e.author) == author), None)
            if same is not None and same.emotion == correction.emotion:
                return _recorded(same, before, new=False)
            entry = _entry(correction, row, len(before) + 1)
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
        return [replace(e, given=in_utc(e.given), time=in_utc(e.time)) for e in entries]


def standing(entries: Iterable[Feedback]) -> list[Feedback]:
    """The entry that stands on each turn: the latest of a reviewer, else the latest of an agent."""
    best: dict[tuple[str, int], Feedback] = {}
    for entry in sorted(entries, key=lambda e: (SOURCES.index(e.source), e.number)):
        best[entry.request_id, entry.turn] = entry
    return [best[key] for key in sorted(best)]


def contradicted(entries: Iterable[Feedback]) -> int:
    """How many turns people disagree on."""
    emotions: dict[tuple[str, int], set[str]] = {}
    for entry in entries:
        emotions.setdefault((entry.request_id, entry.turn), set()).add(entry.emotion)
    return sum(len(different) > 1 for different in emotions.values())


def _answer(correction: Correction, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    turns = {row["turn"]: row for row in rows if row["turn"] is not None}
    name, turn = repr(correction.request_id), correction.turn
    if not rows:
        raise UnknownRequestError(f"no request {name} is in the log; take the answer's request_id")
    if turn not in turns:
        raise UnknownRequestError(
            f"request {name} has {len(turns)} turns, counted from 0; there is no turn {turn}"
        )
    return turns[turn]


def _entry(correction: Correction, row: Mapping[str, Any], number: int) -> Feedback:
    names = ("recording", "time", "version", "confidence", "speaker", "start", "end")
    answer = {name: row[name] for name in names} | {"predicted": row["emotion"]}
    return Feedback(**asdict(correction), **answer, number=number, given=datetime.now(UTC))


def _recorded(entry: Feedback, entries: Sequence[Feedback], *, new: bool) -> Recorded:
    against = sum(other.emotion != entry.emotion for other in entries)
    return Recorded(entry, new, against, standing(entries)[0].emotion)
