"""What one service process holds: the speech models, the emotion model, and who may use them.

The speech models work in a thread of their own, so the event loop goes on answering while a
recording is analysed; recordings take turns, and only so many may wait.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np

from components.conversation import SAMPLE_RATE, InputError, Seconds, Turn, read_audio
from components.profile import Settings, load_profile
from serving import metrics
from serving.analyze import Analyzer, turn_clips, with_emotions
from serving.emotions import Emotions
from serving.errors import NotReadyError
from serving.settings import ServeSettings

logger = logging.getLogger(__name__)


class BusyError(RuntimeError):
    """As many recordings as may wait are waiting."""


class TooLongError(InputError):
    """The recording is longer than this service takes."""


class NotAudioError(InputError):
    """The upload cannot be read as sound."""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a recording, and the model version that gave it."""

    version: int
    duration: Seconds
    turns: list[Turn]


class Runtime:
    """The service's working parts.

    Args:
        settings: where things lie; `triton_url` is asked.
        serve: how the service behaves.
    """

    def __init__(self, settings: Settings, serve: ServeSettings) -> None:
        self.settings = settings
        self.serve = serve
        self.failure: BaseException | None = None
        self._analyzer = Analyzer(load_profile(serve.profile), settings)
        self.emotions = Emotions(settings, serve)
        self._threads = ThreadPoolExecutor(serve.at_once, thread_name_prefix="speech")
        self._room = asyncio.Semaphore(serve.at_once)
        self._inside = 0
        self._loading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to load the speech models; the service answers `/healthz` meanwhile."""
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        began = time.monotonic()
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._analyzer.load)
        except Exception as error:
            self.failure = error
            logger.exception("the speech models cannot be loaded")
            return
        logger.info("speech models loaded in %.1f s", time.monotonic() - began)

    async def stop(self) -> None:
        """Let go of everything."""
        await self.emotions.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def loaded(self) -> bool:
        """Whether the speech models can be used."""
        return self._loading is not None and self._loading.done() and self.failure is None

    async def ready(self) -> bool:
        """Whether a recording sent now would be answered: the speech models are loaded, and the
        emotion model answers."""
        return self.loaded() and await self.emotions.ready()

    async def analyze(
        self,
        upload: IO[bytes],
        session_id: str,
        *,
        num_speakers: int | None = None,
        max_pause: Seconds | None = None,
    ) -> Result:
        """Analyse a recording.

        Raises:
            NotAudioError: it is not sound.
            TooLongError: it is longer than the settings allow.
            BusyError: too many are waiting.
            NotReadyError: the models are still loading, or Triton does not answer.
            LateError: Triton did not answer in time.
        """
        if not self.loaded():
            raise NotReadyError("the speech models are still being loaded")
        self.emotions.model()
        async with self._turn():
            audio = await self._decode(upload)
            heard = await asyncio.get_running_loop().run_in_executor(
                self._threads,
                lambda: self._analyzer.listen(
                    audio,
                    session_id=session_id,
                    num_speakers=num_speakers,
                    max_pause=max_pause,
                    watch=_watch,
                ),
            )
        turns = list(heard.turns)
        began = time.monotonic()
        # Asked only now: another version may have taken over while this one was listened to.
        classified = await self.emotions.classify(turn_clips(audio, turns))
        turns = with_emotions(turns, classified.probabilities)
        _watch("classify", time.monotonic() - began)
        duration = len(audio) / SAMPLE_RATE
        metrics.AUDIO.inc(duration)
        metrics.TURNS.inc(len(turns))
        for turn in turns:
            metrics.EMOTIONS.labels(turn.emotion, classified.version).inc()
        return Result(classified.version, duration, turns)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for this recording's turn, or refuse it."""
        if self._inside >= self.serve.at_once + self.serve.waiting:
            raise BusyError("too many recordings are waiting; try again later")
        self._inside += 1
        metrics.WAITING.inc()
        began = time.monotonic()
        try:
            async with self._room:
                _watch("wait", time.monotonic() - began)
                yield
        finally:
            self._inside -= 1
            metrics.WAITING.dec()

    async def _decode(self, upload: IO[bytes]) -> np.ndarray:
        began = time.monotonic()
        most = self.settings.max_seconds
        try:
            # A little more than the limit shows that it is exceeded; a bomb unpacks no further.
            audio = await asyncio.to_thread(read_audio, upload, 0.0, most + 1)
        except InputError as error:
            reason = str(error).removeprefix("the audio: ")
            raise NotAudioError(f"the recording {reason}") from error
        if len(audio) > most * SAMPLE_RATE:
            raise TooLongError(f"the recording is longer than {most:g} seconds; send it in parts")
        _watch("decode", time.monotonic() - began)
        return audio


def _watch(stage: str, seconds: Seconds) -> None:
    metrics.STAGES.labels(stage).observe(seconds)
