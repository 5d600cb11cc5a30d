"""What people say a turn's emotion is, kept with what the model had said.

Entries are only ever added. Of several on one turn **the latest of a reviewer stands, else the
latest of an agent**: a reviewer listens to the recording, an agent remembers the call.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from components.base import InputError
from components.base.database import database_exists, in_utc, open_database
from components.conversation import EMOTIONS, Seconds

if TYPE_CHECKING:
    from sqlalchemy import Table

Source = Literal["agent", "reviewer"]
SOURCES: tuple[str, ...] = get_args(Source)
"""Who may say so; a later one outranks an earlier one."""

_ATTEMPTS = 20


class UnknownRequestError(InputError):
    """Feedback on a request, or a turn of it, that the log does not hold."""

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
        new: False where the same source had said the same last; then nothing was added.
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
    """

    def __init__(self, url: str) -> None:
        self._table = _table()
        self._engine = open_database(url, "the feedback's", self._table.metadata)

    def record(self, correction: Correction, rows: Sequence[Mapping[str, Any]]) -> Recorded:
        """Keep a correction.

        Args:
            rows: of the request, from the log (see `find_request`).

        Raises:
            UnknownRequestError: there is no such request or turn.
        """
        from sqlalchemy import insert
        from sqlalchemy.exc import IntegrityError

        row = _answer(correction, rows)
        for _ in range(_ATTEMPTS):
            before = self.of_turn(correction.request_id, correction.turn)
            same = _last_of(before, correction)
            if same is not None and same.emotion == correction.emotion:
                return _recorded(same, before, new=False)
            entry = _entry(correction, row, len(before) + 1)
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(self._table).values(asdict(entry)))
            except IntegrityError:
                continue  # somebody else wrote this number: look again
            return _recorded(entry, [*before, entry], new=True)
        raise TimeoutError("too many write feedback on one turn at the same time")

    def of_turn(self, request_id: str, turn: int) -> list[Feedback]:
        """A turn's entries, in the order in which they came."""
        table = self._table.c
        return self._select(table.request_id == request_id, table.turn == turn)

    def entries(self, since: datetime | None = None) -> list[Feedback]:
        """All entries on what was answered since then, by request and turn."""
        table = self._table.c
        return self._select(*([] if since is None else [table.time >= since.astimezone(UTC)]))

    def erase(self, recording: str) -> int:
        """Delete a recording's entries; how many there were."""
        from sqlalchemy import delete

        with self._engine.begin() as connection:
            done = connection.execute(
                delete(self._table).where(self._table.c.recording == recording)
            )
        return int(done.rowcount)

    @classmethod
    def read(cls, url: str, since: datetime | None = None) -> list[Feedback]:
        """The entries in a database; none, and no file is made, where nobody wrote one yet."""
        if not database_exists(url):
            return []
        store = cls(url)
        try:
            return store.entries(since)
        finally:
            store.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()

    def _select(self, *conditions: Any) -> list[Feedback]:
        from sqlalchemy import select

        table = self._table.c
        order = (table.request_id, table.turn, table.number)
        with self._engine.connect() as connection:
            rows = connection.execute(select(self._table).where(*conditions).order_by(*order))
            return [_of_database(row._asdict()) for row in rows]


def standing(entries: Iterable[Feedback]) -> list[Feedback]:
    """The entry that stands on each turn: the latest of a reviewer, else the latest of an agent."""
    best: dict[tuple[str, int], Feedback] = {}
    for entry in sorted(entries, key=lambda e: (SOURCES.index(e.source), e.number)):
        best[entry.request_id, entry.turn] = entry
    return [best[key] for key in sorted(best)]


def contradicted(entries: Iterable[Feedback]) -> int:
    """How many turns people disagree on."""
    said: dict[tuple[str, int], set[str]] = {}
    for entry in entries:
        said.setdefault((entry.request_id, entry.turn), set()).add(entry.emotion)
    return sum(len(emotions) > 1 for emotions in said.values())


def _answer(correction: Correction, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    turns = {row["turn"]: row for row in rows if row["turn"] is not None}
    if not rows:
        raise UnknownRequestError(
            f"no request {correction.request_id!r} is in the log; take the answer's request_id"
        )
    if correction.turn not in turns:
        raise UnknownRequestError(
            f"request {correction.request_id!r} has {len(turns)} turns, counted from 0;"
            f" there is no turn {correction.turn}"
        )
    return turns[correction.turn]


def _last_of(entries: Sequence[Feedback], correction: Correction) -> Feedback | None:
    """The last entry of the same source."""
    who = (correction.source, correction.author)
    return next((e for e in reversed(entries) if (e.source, e.author) == who), None)


def _entry(correction: Correction, row: Mapping[str, Any], number: int) -> Feedback:
    taken = ("recording", "time", "version", "confidence", "speaker", "start", "end")
    return Feedback(
        **asdict(correction),
        number=number,
        given=datetime.now(UTC),
        predicted=row["emotion"],
        **{name: row[name] for name in taken},
    )


def _recorded(entry: Feedback, entries: Sequence[Feedback], *, new: bool) -> Recorded:
    against = sum(other.emotion != entry.emotion for other in entries)
    return Recorded(entry, new, against, standing(entries)[0].emotion)


def _of_database(row: Mapping[str, Any]) -> Feedback:
    times = {name: in_utc(row[name]) for name in ("given", "time")}
    return Feedback(**{**row, **times})


def _table() -> "Table":
    from sqlalchemy import Column, DateTime, Float, Integer, MetaData, String, Table

    kinds: dict[str, Any] = {
        "turn": Integer,
        "number": Integer,
        "version": Integer,
        "confidence": Float,
        "start": Float,
        "end": Float,
        "given": DateTime(timezone=True),
        "time": DateTime(timezone=True),
    }
    key = {"request_id", "turn", "number"}
    return Table(
        "moodline_feedback",
        MetaData(),
        *(
            Column(
                field.name,
                kinds.get(field.name, String(100)),
                primary_key=field.name in key,
                nullable=False,
                autoincrement=False,
                index=field.name == "recording",
            )
            for field in fields(Feedback)
        ),
    )
