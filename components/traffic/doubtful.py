"""Answers that the model was least sure of and nobody spoke about: what to listen to first."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from components.base import Location, in_utc
from components.conversation import SAMPLE_RATE
from components.traffic.answers import Asker, find_request
from components.traffic.audio import kept_audio
from components.traffic.feedback import UnknownRequestError, answered_turn
from components.traffic.tables import FEEDBACK, TURNS, counts, traffic_database

DAYS = 30
"""Older answers are not asked about."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A turn that the model was not sure of.

    Attributes:
        request_id, turn: which one; feedback takes both.
        time: of the answer.
        start, end: in seconds of its recording.
        labels: of the version that answered.
        text: its words, where they are logged.
        has_sound: whether its recording's sound is kept.
    """

    request_id: str
    turn: int
    time: datetime
    start: float
    end: float
    speaker: str
    emotion: str
    confidence: float
    labels: tuple[str, ...]
    text: str | None
    has_sound: bool


class DoubtfulTurns:
    """Reads them from the database of log and feedback.

    Args:
        url: SQLAlchemy's.
        folder: the log's, which holds sound where the operator keeps it.
    """

    def __init__(self, url: str, folder: Location) -> None:
        self._database, self._folder = traffic_database(url), folder

    def close(self) -> None:
        """Let go of the connections."""
        self._database.close()

    def least_sure(self, owner: str, voter: str, most: int = 30) -> list[Doubtful]:
        """The turns of the last days that the sender said nothing of, the least sure first.

        Args:
            owner: whose answers, as `owner_id` gives it; "" where no key is needed.
            voter: the name of that key.

        Raises:
            Unavailable: the database does not answer.
        """
        if not self._database.exists:
            return []
        names = ("request_id", "turn", "time", "start", "end", "speaker", "emotion", "confidence")
        more = ("labels", "text", "audio", "recording")
        same = (FEEDBACK.c.request_id == TURNS.c.request_id, FEEDBACK.c.turn == TURNS.c.turn)
        query = (
            select(*(TURNS.c[name] for name in (*names, *more)))
            .where(
                TURNS.c.time >= datetime.now(UTC) - timedelta(days=DAYS),
                TURNS.c.owner == owner, TURNS.c.turn.is_not(None),
                TURNS.c.confidence.is_not(None), counts(),
                ~sa.exists().where(*same, FEEDBACK.c.voter == voter),
            )
            .order_by(TURNS.c.confidence, TURNS.c.id)
            .limit(most)
        )  # fmt: skip
        with self._database.begin() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        found = []
        for row in rows:
            row["time"] = in_utc(row["time"])
            has_sound = bool(row["audio"]) and kept_audio(self._folder, row) is not None
            fields = {name: row[name] for name in (*names, "labels", "text")}
            found.append(Doubtful(**fields, has_sound=has_sound))
        return found

    def sound(self, request_id: str, turn: int, asker: Asker) -> bytes:
        """A turn's sound as a WAV file, mono 16 kHz.

        Raises:
            UnknownRequestError: the asker was given no such answer, or its sound is not kept.
            AmbiguousRequestError: the sender gave that id to several recordings.
            Unavailable: the database or the store does not answer.
        """
        row = answered_turn(request_id, find_request(self._database, request_id, asker), turn)
        file = kept_audio(self._folder, row) if row["audio"] else None
        if file is None:
            raise UnknownRequestError("the sound of this turn is not kept here")
        return _cut(file.read_bytes(), row)


def _cut(content: bytes, row: Mapping[str, Any]) -> bytes:
    import soundfile

    with soundfile.SoundFile(io.BytesIO(content)) as whole:
        first = min(max(0, round(row["start"] * SAMPLE_RATE)), whole.frames)
        whole.seek(first)
        samples = whole.read(max(0, round(row["end"] * SAMPLE_RATE) - first), dtype="int16")
    out = io.BytesIO()
    soundfile.write(out, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return out.getvalue()
