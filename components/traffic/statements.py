"""What one sender has said of an answer: read again, taken back; and who spoke in a turn.

Who speaks has a table of its own: no model is trained on it, and whoever corrects a speaker says
nothing of the emotion.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from components.traffic.answers import Asker, find_request
from components.traffic.feedback import (
    ATTEMPTS,
    MAX_STATEMENTS,
    TooManyStatementsError,
    answered_turn,
)
from components.traffic.tables import FEEDBACK, SAID, SPEAKER_FEEDBACK, traffic_database


@dataclass(frozen=True, slots=True)
class Said:
    """What a sender says of a turn; None where nothing is said.

    Attributes:
        turn: its place in the answer, from 0.
    """

    turn: int
    emotion: str | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class SaidSpeaker:
    """What became of a correction of the speaker.

    Attributes:
        number: of the entry on this turn, from 1.
        new: False where the sender had said the same last.
        answered: whom the answer named, as the log has it.
    """

    number: int
    new: bool
    answered: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What a sender has said of one version's answers, in turns.

    Attributes:
        corrected: another emotion than the model's.
        confirmed: the model's own.
        speakers: another speaker than the answer's.
    """

    corrected: int
    confirmed: int
    speakers: int


class Statements:
    """Each sender's own statements, in the database of log and feedback.

    Args:
        url: SQLAlchemy's.
    """

    def __init__(self, url: str) -> None:
        self._database = traffic_database(url)

    def close(self) -> None:
        """Let go of the connections."""
        self._database.close()

    def of_answer(self, request_id: str, asker: Asker, voter: str) -> list[Said]:
        """What the sender last said of each turn of an answer, by turn.

        Raises:
            UnknownRequestError: the asker was given no such answer.
            AmbiguousRequestError: the sender gave that id to several recordings.
            Unavailable: the database does not answer.
        """
        row = answered_turn(request_id, self._rows(request_id, asker))
        emotions, speakers = (self._latest(t, row["request_id"], voter) for t in SAID)
        turns = sorted(emotions.keys() | speakers.keys())
        return [Said(turn, emotions.get(turn), speakers.get(turn)) for turn in turns]

    def say_speaker(
        self, request_id: str, turn: int, speaker: str, asker: Asker, voter: str, author: str
    ) -> SaidSpeaker:
        """Keep who speaks in a turn.

        Raises:
            UnknownRequestError: the asker was given no such answer, or it has no such turn.
            AmbiguousRequestError: the sender gave that id to several recordings.
            TooManyStatementsError: the voter has said too many things of this turn.
            Unavailable: the database does not answer.
        """
        row = answered_turn(request_id, self._rows(request_id, asker), turn)
        table, named = SPEAKER_FEEDBACK, row["request_id"]
        place = (table.c.request_id == named, table.c.turn == turn)
        query = select(table).where(*place).order_by(table.c.number)
        for _ in range(ATTEMPTS):
            with self._database.begin() as connection:
                before = connection.execute(query).all()
                own = [entry for entry in before if entry.voter == voter]
                if own and own[-1].speaker == speaker:
                    return SaidSpeaker(own[-1].number, False, row["speaker"])
                if len(own) >= MAX_STATEMENTS:
                    raise TooManyStatementsError(
                        f"turn {turn} has {len(own)} statements by this sender already"
                    )
                number = max((entry.number for entry in before), default=0) + 1
                entry = {
                    "request_id": named, "turn": turn, "number": number, "speaker": speaker,
                    "voter": voter, "author": author, "given": datetime.now(UTC),
                    "recording": row["recording"], "version": row["version"],
                    "answered": row["speaker"],
                }  # fmt: skip
                try:
                    connection.execute(insert(table).values(entry))
                except IntegrityError:
                    connection.rollback()
                    continue  # somebody else wrote this number: look again
            return SaidSpeaker(number, True, row["speaker"])
        raise TimeoutError("too many write feedback on one turn at the same time")

    def withdraw(self, request_id: str, turn: int, what: str, asker: Asker, voter: str) -> Said:
        """Take back what the sender said last of a turn; what was said before counts again.

        Args:
            what: "emotion" or "speaker".

        Returns:
            What the sender says of the turn now.

        Raises:
            UnknownRequestError: the asker was given no such answer, or it has no such turn.
            AmbiguousRequestError: the sender gave that id to several recordings.
            Unavailable: the database does not answer.
        """
        named = answered_turn(request_id, self._rows(request_id, asker), turn)["request_id"]
        table = FEEDBACK if what == "emotion" else SPEAKER_FEEDBACK
        mine = (table.c.request_id == named, table.c.turn == turn, table.c.voter == voter)
        last = select(func.max(table.c.number)).where(*mine).scalar_subquery()
        with self._database.begin() as connection:
            connection.execute(delete(table).where(*mine, table.c.number == last))
        self._database.empty_wal()
        emotions, speakers = (self._latest(each, named, voter) for each in SAID)
        return Said(turn, emotions.get(turn), speakers.get(turn))

    def count(self, version: int, voter: str) -> Counts:
        """How many turns the sender has corrected and confirmed of a version's answers.

        Raises:
            Unavailable: the database does not answer.
        """
        return self._counted(lambda t: (t.c.version == version, t.c.voter == voter))

    def count_since(self, at: datetime | None = None) -> Counts:
        """How many turns anybody has corrected and confirmed since then, by what was said last of
        each; None: ever.

        Raises:
            Unavailable: the database does not answer.
        """
        return self._counted(lambda t: () if at is None else (t.c.given >= at.astimezone(UTC),))

    def _counted(self, conditions: Callable[[sa.Table], tuple[Any, ...]]) -> Counts:
        if not self._database.exists:
            return Counts(0, 0, 0)
        tallies = []
        for table, answered in ((FEEDBACK, "predicted"), (SPEAKER_FEEDBACK, "answered")):
            said = table.c["emotion" if table is FEEDBACK else "speaker"]
            keys = (table.c.request_id, table.c.turn)
            counted = conditions(table)
            latest = select(*keys, func.max(table.c.number).label("number")).where(*counted)
            last = latest.group_by(*keys).subquery()
            same = [table.c[key.name] == last.c[key.name] for key in (*keys, table.c.number)]
            differs = sa.case((said != table.c[answered], 1), else_=0)
            query = select(func.count(), func.coalesce(func.sum(differs), 0)).select_from(
                table.join(last, sa.and_(*same))
            )
            with self._database.begin() as connection:
                tallies.append(connection.execute(query).one())
        (labelled, corrected), (_, speakers) = tallies
        return Counts(int(corrected), int(labelled) - int(corrected), int(speakers))

    def _rows(self, request_id: str, asker: Asker) -> list[dict[str, Any]]:
        return find_request(self._database, request_id, asker)

    def _latest(self, table: sa.Table, request_id: str, voter: str) -> Mapping[int, str]:
        said = table.c["emotion" if table is FEEDBACK else "speaker"]
        mine = (table.c.request_id == request_id, table.c.voter == voter)
        query = select(table.c.turn, said).where(*mine).order_by(table.c.number)
        with self._database.begin() as connection:
            rows: Sequence[Any] = connection.execute(query).all()
        return {turn: text for turn, text in rows}
