"""The voice prints of all keys, in a database that copies of the service share."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from components.base import Database, InputError, Refused, Schema
from serving.settings import ServeSettings

DAY = 86_400.0
"""In seconds."""

METADATA = sa.MetaData()

VOICES = sa.Table(
    "moodline_voices",
    METADATA,
    # The name of the API key that sent it; empty where there are no keys.
    sa.Column("owner", sa.String(100), primary_key=True),
    sa.Column("name", sa.String(60), primary_key=True),  # whose voice it is
    sa.Column("model", sa.Text, nullable=False),  # the digest of the pipeline that heard it
    sa.Column("vector", sa.LargeBinary, nullable=False),  # float32, little-endian
    sa.Column("created", sa.Float, nullable=False),  # seconds since 1970
)

SCHEMA = Schema("voices", METADATA, Path(__file__).with_name("revisions"), head="1.1")


@dataclass(frozen=True, slots=True)
class VoicePrint:
    """A voice, as a diarization pipeline hears it.

    Attributes:
        vector: float [size], of length 1; see `components.diarize.voice_print`.
        model: the pipeline's digest; another pipeline's vectors cannot be compared with it.
    """

    vector: np.ndarray = field(repr=False)
    model: str

    def heard_by(self, model: str, name: str) -> np.ndarray:
        """The vector, for the pipeline with this digest.

        Raises:
            InputError: another pipeline heard the voice.
        """
        if model != self.model:
            raise InputError(
                f"speaker {name}: was enrolled with another speech model than the one that is used"
                " now; enrol again"
            )
        return self.vector


@dataclass(frozen=True, slots=True)
class KeptVoice:
    """That a voice print is kept, without the print.

    Attributes:
        owner: the name of the API key; empty where there are no keys.
        name: whose voice it is.
        created: when it was enrolled last.
        expires: when it will be deleted.
    """

    owner: str
    name: str
    created: datetime
    expires: datetime


class VoiceStore:
    """The voice prints of all keys. Its methods block: call them in a thread. Each raises
    `DatabaseAwayError` where the database does not answer.

    Nothing is made in a database until the first voice print is kept.

    Args:
        home: the machine's, where the settings name no database.
        serve: whether, how long and how many voice prints are kept.
    """

    def __init__(self, home: Path, serve: ServeSettings) -> None:
        self.is_on = serve.voice_prints
        self._seconds = serve.voice_print_days * DAY
        self._most = serve.voice_prints_each
        self._url, self._name = serve.voices_url(home), "the voice prints'"
        self._database = Database(self._url, self._name, SCHEMA)
        self._is_made = False

    def check_on(self) -> None:
        """Refuse what stores or uses voice prints, where the operator has not allowed it.

        Raises:
            VoicesOffError: that is so.
        """
        if not self.is_on:
            raise VoicesOffError(
                "this service keeps no voice prints; its operator may allow it"
                " (MOODLINE_SERVE_VOICE_PRINTS=true)"
            )

    def check_room(self, owner: str, name: str) -> None:
        """Refuse one more voice print than a key may have; one of the same name is replaced.

        Raises:
            Refused: the key has as many as it may.
        """
        others = sum(kept.name != name for kept in self.of(owner))
        if others >= self._most:
            raise Refused(
                f"{others} voice prints are kept, and no more are allowed (one key may have"
                f" {self._most}); erase some first"
            )

    def keep(self, owner: str, name: str, voice: VoicePrint) -> tuple[KeptVoice, bool]:
        """Keep a voice print in place of the one of that name, if there is one.

        Returns:
            What is kept now; and whether there was none of that name.

        Raises:
            Refused: as `check_room`.
        """
        self.check_room(owner, name)
        now = time.time()
        row = {
            "model": voice.model,
            "vector": np.asarray(voice.vector, "<f4").tobytes(),
            "created": now,
        }
        insert = (sqlite if self._database.is_sqlite else postgresql).insert(VOICES)
        upsert = insert.values(owner=owner, name=name, **row).on_conflict_do_update(
            index_elements=[VOICES.c.owner, VOICES.c.name], set_=row
        )
        is_new = all(kept.name != name for kept in self.of(owner))
        with self._database.begin() as connection:
            connection.execute(upsert)
        if not is_new:
            self._database.empty_wal()  # the one before is in it
        return self._kept(owner, name, now), is_new

    def find(self, owner: str, names: Sequence[str]) -> dict[str, VoicePrint]:
        """The voice prints of a key, by name.

        Raises:
            InputError: there is none of a name.
        """
        rows: list[Any] = []
        if self._exists() and names:
            query = sa.select(VOICES.c.name, VOICES.c.vector, VOICES.c.model)
            query = query.where(VOICES.c.owner == owner, VOICES.c.name.in_(names), self._valid())
            with self._database.begin() as connection:
                rows = list(connection.execute(query))
        found = {
            row.name: VoicePrint(np.frombuffer(row.vector, "<f4").astype(np.float64), row.model)
            for row in rows
        }
        for name in names:
            if name not in found:
                raise InputError(f"speaker {name[:60]}: no voice print of that name is kept")
        return {name: found[name] for name in names}

    def of(self, owner: str | None) -> list[KeptVoice]:
        """Which voice prints a key has, by name; None: all keys."""
        if not self._exists():
            return []
        query = sa.select(VOICES.c.owner, VOICES.c.name, VOICES.c.created).where(self._valid())
        if owner is not None:
            query = query.where(VOICES.c.owner == owner)
        with self._database.begin() as connection:
            rows = connection.execute(query.order_by(VOICES.c.owner, VOICES.c.name)).all()
        return [self._kept(row.owner, row.name, row.created) for row in rows]

    def erase(self, owner: str, name: str) -> bool:
        """Erase the voice print of that name; False if there is none."""
        return self._delete(VOICES.c.owner == owner, VOICES.c.name == name)

    def erase_expired(self) -> bool:
        """Erase those whose time is over; False if there are none."""
        return self._delete(sa.not_(self._valid()))

    def close(self) -> None:
        """Let go of the connections."""
        self._database.close()

    def _delete(self, *conditions: sa.ColumnElement[bool]) -> bool:
        if not self._exists():
            return False
        with self._database.begin() as connection:
            gone = connection.execute(sa.delete(VOICES).where(*conditions)).rowcount
        if gone:
            self._database.empty_wal()
        return bool(gone)

    def _valid(self) -> sa.ColumnElement[bool]:
        return VOICES.c.created > time.time() - self._seconds

    def _kept(self, owner: str, name: str, created: float) -> KeptVoice:
        times = (created, created + self._seconds)
        return KeptVoice(owner, name, *(datetime.fromtimestamp(time, UTC) for time in times))

    def _exists(self) -> bool:
        """Whether anybody ever kept a voice print here; finding out makes nothing."""
        if not self._is_made and self._database.exists:
            with (
                closing(Database(self._url, self._name)) as database,
                database.begin() as connection,
            ):
                self._is_made = SCHEMA.revision(connection) is not None
        return self._is_made


class VoicesOffError(Refused):
    """The operator has not allowed that voice prints are kept."""

    exit_status = 2
    http_status = 403
