"""What is kept of each answer: the prediction log, written before the answer goes out.

It never fails an answer: what cannot be written is counted. The service's log file says once that
it fails, and once that it works again.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import numpy as np
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from components.base import Location, MoodlineError, Unavailable
from components.config import Environment
from components.conversation import Seconds, Turn, recording_names
from components.traffic import (
    Asker,
    Copies,
    LoggedRequest,
    LoggedTurn,
    LogWriter,
    TurnLog,
    audio_path,
    keep_audio,
    owner_id,
    recording_id,
)
from components.traffic.writer import MAX_WAIT, RETRY
from serving import metrics
from serving.engine.classified import Classified
from serving.threads import ERASURE, RECORDINGS

T = TypeVar("T")

logger = logging.getLogger(__name__)

SWEEP: Seconds = 3600.0
"""How often what is too old is deleted."""

STORE_PAUSE: Seconds = 30.0
"""After an object store did not answer, so long no sound is sent there: answers wait for it."""


class LogSettings(Environment):
    """What the operator allows, each from `MOODLINE_LOG_<NAME>` in the environment.

    Attributes:
        on: log at all: features and outcomes of each turn, and no words.
        embedding: the model's vectors too; drift of them is what a new accent shows in first.
        text: the words too.
        audio: the sound of analysed recordings too; only then can feedback be trained on.
        content_days: how long words and sound are kept.
        days: how long anything is.
    """

    model_config = SettingsConfigDict(env_prefix="MOODLINE_LOG_", frozen=True, extra="ignore")

    on: bool = True
    embedding: bool = True
    text: bool = False
    audio: bool = False
    content_days: float = Field(default=30.0, gt=0)
    days: float = Field(default=365.0, gt=0)

    def sentence(self) -> str:
        """What is kept of a recording that is analysed, in plain words."""
        if not self.on:
            return "It is analysed and forgotten: nothing is kept."
        vector = ", and the model's vector" if self.embedding else ""
        kept = f"times, speaker label, emotion and measures of each turn{vector}"
        told = [f"Kept for {self.days:g} days: {kept}."]
        content = {"words": self.text, "sound": self.audio}
        if any(content.values()):
            names = " and ".join(name for name, is_kept in content.items() if is_kept)
            told.append(f"Kept for {min(self.content_days, self.days):g} days: its {names}.")
        if not all(content.values()):
            names = " and ".join(name for name, is_kept in content.items() if not is_kept)
            told.append(f"Not kept: its {names}.")
        return " ".join(told)


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request, as far as its answer's log needs it.

    Attributes:
        request_id: the service's own, which names it; given back with feedback.
        route: of the API.
        owner: name of the API key. Recordings of two owners differ, even under one name.
        correlation: the id that the sender gave it; several requests may share one.
    """

    request_id: str
    route: str
    owner: str = ""
    correlation: str = ""


class PredictionLog:
    """The log of one service process.

    Args:
        folder: of the key and the sound, also of an object store; several processes may share it.
        url: of the database (see `Settings.feedback_url`), which may be away at first.
        allowed: what is logged. Recordings can be erased even if nothing is logged any more.
        copies: that retraining made of recordings; they are kept no longer than the sound.

    Raises:
        InputError: the URL is none, or its driver is not installed.
    """

    def __init__(
        self, folder: Location, url: str, allowed: LogSettings, copies: Copies | None = None
    ) -> None:
        self.folder = folder
        self.allowed = allowed
        self._copies = copies
        self.turns = self._log = TurnLog(folder, url)
        try:
            self._log.open()
            if allowed.on:
                self._log.key()
        except (OSError, MoodlineError) as error:
            logger.error("the prediction log waits: %s", error)
        self._known_key: bytes | None = None
        self._writer = LogWriter(self._log)
        self._failing = False
        self._store_back = 0.0
        self._unmarked: dict[str, str] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._stop = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="log-sweeper", daemon=True)
        self._sweeper.start()

    @asynccontextmanager
    async def under_way(self, request_info: RequestInfo, name: str) -> AsyncIterator[None]:
        """A recording is analysed, and recorded, in this block. If it is erased meanwhile, nothing
        of it is left after the block.

        The log holds a mark while it is, which an erasure finds. Where the mark cannot be made in
        time, the answer is not recorded.
        """
        if not self.allowed.on:
            yield
            return
        request_id = request_info.request_id
        mark = RECORDINGS.start(_tried, partial(self._begin, request_info, name))
        try:
            # A database that is slow delays no answer for longer than the writer would.
            await asyncio.wait({mark}, timeout=MAX_WAIT)
            if not mark.done() or isinstance(mark.result(), Exception):
                why = mark.result() if mark.done() else f"no answer within {MAX_WAIT:g} s"
                self._unmarked[request_id] = f"an erasure would not reach it: {why}"
            yield
        finally:
            self._unmarked.pop(request_id, None)
            ending = asyncio.create_task(self._end(request_id, mark))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.wait({ending}, timeout=MAX_WAIT)

    def _begin(self, request_info: RequestInfo, name: str) -> datetime:
        recording = self.recording(name, request_info.owner)
        return self._writer.begin(request_info.request_id, recording)

    async def _end(self, request_id: str, mark: "asyncio.Future[datetime | Exception]") -> None:
        """Take a mark away, however late it was made, as soon as the database lets us."""
        began = await mark
        if isinstance(began, Exception):
            return
        end = partial(self._writer.end, request_id, began)
        while isinstance(await RECORDINGS.run(_tried, end), Exception):
            await asyncio.sleep(RETRY)

    def record(
        self,
        request_info: RequestInfo,
        name: str,
        answer: Classified,
        turns: Sequence[Turn],
        measures: Sequence[Mapping[str, float]],
        audio: np.ndarray | None = None,
    ) -> None:
        """Write an answer down; when this returns it outlives the process. Call it in a thread.

        Args:
            request_info: the request.
            name: the recording's.
            answer: the model's, one row for each turn.
            turns, measures: with their emotions; of each one's sound, by `turn_measures`.
            audio: the whole recording, kept only where the operator allows that.
        """
        if not self.allowed.on:
            return
        began = time.perf_counter()
        failure: Exception | None
        try:
            request = self._request(request_info, name, answer, turns, measures, audio is not None)
        except MoodlineError as error:
            failure = error
        else:
            failure = self._write(request, audio)
        metrics.LOGGED.labels("failed" if failure else "kept").inc()
        if failure and not self._failing:
            logger.error("answers are not, or not all, in the prediction log: %s", failure)
        elif self._failing and not failure:
            logger.warning("answers are in the prediction log again")
        self._failing = failure is not None
        metrics.LOG_SECONDS.observe(time.perf_counter() - began)

    def _request(
        self,
        request_info: RequestInfo,
        name: str,
        answer: Classified,
        turns: Sequence[Turn],
        measures: Sequence[Mapping[str, float]],
        has_audio: bool,
    ) -> LoggedRequest:
        keep = self.allowed
        words = [turn.words if keep.text else None for turn in turns]
        rows = zip(turns, measures, answer.embeddings, words, strict=True)
        return LoggedRequest(
            request_id=request_info.request_id,
            recording=self.recording(name, request_info.owner),
            time=datetime.now(UTC),
            route=request_info.route,
            version=answer.version,
            alias=answer.alias,
            audio=keep.audio and has_audio,
            owner=owner_id(request_info.owner, self._key),
            correlation=request_info.correlation or None,
            labels=answer.labels,
            turns=tuple(
                LoggedTurn(turn, vector if keep.embedding else None, measured, words)
                for turn, measured, vector, words in rows
            ),
        )

    def _write(self, request: LoggedRequest, audio: np.ndarray | None) -> Exception | None:
        """Write a request and its sound; why they are not, or not all, written."""
        if why := self._unmarked.get(request.request_id):
            return Unavailable(why)
        failure = self._keep_audio(request, audio)
        if failure:
            request = replace(request, audio=False)
        try:
            self._writer.write(request)
        except MoodlineError as error:
            return error
        return failure

    def _keep_audio(self, request: LoggedRequest, audio: np.ndarray | None) -> Exception | None:
        """Keep the sound where the operator allows that; why it could not be."""
        if not request.audio or audio is None:
            return None
        if time.monotonic() < self._store_back:
            return Unavailable(f"{self.folder}: the object store did not answer")
        path = audio_path(self.folder, request.recording, request.request_id, request.time)
        try:
            keep_audio(path, audio)
        except Unavailable as error:
            self._store_back = time.monotonic() + STORE_PAUSE
            return error
        except (OSError, MoodlineError) as error:
            return error
        return None

    @property
    def _key(self) -> bytes:
        if self._known_key is None:
            self._known_key = self._log.key()
        return self._known_key

    def recording(self, name: str, owner: str = "") -> str:
        """A recording's name as it stands in the log.

        Raises:
            KeyMissingError, Unavailable: as `TurnLog.key`.
        """
        return recording_id(f"{owner}/{name}", self._key)

    def asker(self, owner: str, recording: str = "") -> Asker:
        """Who gives feedback: an API key, with the name of the recording that is meant, if told.

        Raises:
            KeyMissingError, Unavailable: as `TurnLog.key`.
        """
        owners = {owner, ""}  # the latter from before there were keys
        names = recording_names(recording) if recording else ()
        known = {self.recording(name, who) for name in names for who in owners}
        return Asker(owner_id(owner, self._key), known)

    def _sweep(self) -> None:
        while not self._stop.wait(SWEEP):
            days, content_days = self.allowed.days, self.allowed.content_days
            sweeps: list[Callable[[], object]] = [
                partial(self._log.sweep, content_days=content_days, days=days)
            ]
            if self._copies:
                sweeps += [partial(self._copies.sweep, content_days), self._copies.finish]
            for sweep in sweeps:
                try:
                    sweep()
                except (OSError, MoodlineError) as error:
                    logger.error("what is too old cannot be deleted now: %s", error)
                except Exception:  # a thread that ends would keep everything from then on
                    logger.exception("what is too old cannot be deleted now")

    async def close(self) -> None:
        """Write what waits, and let go of the database."""
        self._stop.set()
        if self._endings:
            _, late = await asyncio.wait(self._endings, timeout=MAX_WAIT)
            for ending in late:  # its mark is swept
                ending.cancel()
        await ERASURE.run(self._writer.close)
        self._log.close()


def _tried(call: Callable[[], T]) -> T | Exception:
    """What a call to the log returns, or why it failed; the answer does not depend on it."""
    try:
        return call()
    except (OSError, MoodlineError) as error:
        return error
