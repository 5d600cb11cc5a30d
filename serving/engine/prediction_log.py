"""What is kept of each answer: the prediction log, written before the answer goes out.

It never stands in an answer's way: what cannot be written is counted, and said in the log file.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from components.base import InputError
from components.config import Environment
from components.conversation import Seconds, Turn
from components.traffic import (
    Answered,
    Journal,
    LoggedTurn,
    audio_path,
    erase,
    keep_audio,
    recording_id,
    recording_key,
    sweep,
)
from serving import metrics

logger = logging.getLogger(__name__)

SWEEP: Seconds = 3600.0
"""How often what is too old is deleted."""


class LogSettings(Environment):
    """What the operator allows, each from `MOODLINE_LOG_<NAME>` in the environment.

    Attributes:
        on: log at all: features and outcomes of each turn, and no words.
        embedding: the model's vectors too; drift of them is what a new accent shows in first.
        text: the words too.
        audio: the sound of analysed recordings too; only then can feedback be trained on.
        content_days: how long words and sound are kept.
        days: how long anything is.
        roll_megabytes: a journal of this size becomes a Parquet file.
        roll_seconds: one of this age does, too.
    """

    model_config = SettingsConfigDict(env_prefix="MOODLINE_LOG_", frozen=True, extra="ignore")

    on: bool = True
    embedding: bool = True
    text: bool = False
    audio: bool = False
    content_days: float = Field(default=30.0, gt=0)
    days: float = Field(default=365.0, gt=0)
    roll_megabytes: float = Field(default=16.0, gt=0)
    roll_seconds: float = Field(default=600.0, gt=0)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as its answer's log needs it.

    Attributes:
        request_id: names it, and is given back with feedback.
        route: of the API.
        owner: of the API key; recordings of two owners are two, whatever their names.
    """

    request_id: str
    route: str
    owner: str = ""


class PredictionLog:
    """The log of one service process.

    Args:
        folder: of the log; several processes may share it.
        allowed: what is logged; nothing may be, and yet what was logged before is erased.
    """

    def __init__(self, folder: Path, allowed: LogSettings) -> None:
        self.folder = folder
        self.allowed = allowed
        self._key = recording_key(folder)
        self._journal = Journal(
            folder,
            roll_bytes=round(allowed.roll_megabytes * 1e6),
            roll_seconds=allowed.roll_seconds,
        )
        self._stop = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="log-sweeper", daemon=True)
        self._sweeper.start()

    def record(
        self,
        asked: Asked,
        name: str,
        version: int,
        alias: str,
        turns: Sequence[Turn],
        measures: Sequence[Mapping[str, float]],
        embeddings: np.ndarray,
        audio: np.ndarray | None = None,
    ) -> None:
        """Write an answer down; when this returns it outlives the process. Call it in a thread.

        Args:
            asked: the request.
            name: the recording's.
            version, alias: of the model that answered.
            turns: with their emotions.
            measures: of each turn's sound, by `turn_measures`.
            embeddings: [turns, d].
            audio: the whole recording, kept only where the operator allows that.
        """
        if not self.allowed.on:
            return
        began = time.perf_counter()
        kept = self.allowed.audio and audio is not None
        answered = Answered(
            asked.request_id,
            self.recording(name, asked.owner),
            datetime.now(UTC),
            asked.route,
            version,
            alias,
            kept,
            tuple(
                LoggedTurn(
                    turn,
                    vector if self.allowed.embedding else None,
                    measured,
                    turn.words if self.allowed.text else None,
                )
                for turn, measured, vector in zip(turns, measures, embeddings, strict=True)
            ),
        )
        try:
            if kept and audio is not None:
                place = audio_path(
                    self.folder, answered.recording, answered.request_id, answered.at
                )
                try:
                    keep_audio(place, audio)
                except (OSError, InputError):
                    answered = replace(answered, audio=False)
                    raise
                finally:
                    self._journal.append(answered.line())
            else:
                self._journal.append(answered.line())
        except (OSError, InputError):
            metrics.LOGGED.labels("failed").inc()
            logger.exception("an answer is not, or not all, in the prediction log")
        else:
            metrics.LOGGED.labels("kept").inc()
        metrics.LOG_SECONDS.observe(time.perf_counter() - began)

    def recording(self, name: str, owner: str = "") -> str:
        """A recording's name as it stands in the log."""
        return recording_id(f"{owner}/{name}", self._key)

    async def erase(self, name: str, owner: str) -> int:
        """Erase a recording; how many turns and sound files there were."""
        return await asyncio.to_thread(erase, self.folder, self.recording(name, owner))

    def _sweep(self) -> None:
        while not self._stop.wait(SWEEP):
            try:
                sweep(self.folder, content_days=self.allowed.content_days, days=self.allowed.days)
            except OSError:
                logger.exception("what is too old cannot be deleted now")

    async def close(self) -> None:
        """Roll up what this process wrote; what cannot be stays in its journal."""
        self._stop.set()
        try:
            await asyncio.to_thread(self._journal.close)
        except OSError:
            logger.exception("the prediction log stays in a journal")
