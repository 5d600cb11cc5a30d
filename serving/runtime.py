"""What one service process holds: the speech models, the way to Triton, and who may use them.

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
from components.fusion import average_windows, clip_windows
from components.profile import Settings, load_profile
from serving import metrics
from serving.analyze import Analyzer, turn_clips, with_emotions
from serving.served import CurrentModel, LoadedModel
from serving.settings import ServeSettings
from serving.triton.client import TritonClient, TritonError, TritonLateError

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0


class NotReadyError(RuntimeError):
    """The service cannot answer now, but may soon."""


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
        self._current = CurrentModel(serve.pointer)
        self._client = TritonClient(settings.triton_url, deadline=serve.clip_deadline)
        self._threads = ThreadPoolExecutor(serve.at_once, thread_name_prefix="speech")
        self._room = asyncio.Semaphore(serve.at_once)
        self._inside = 0
        self._loading: asyncio.Task[None] | None = None
        self._probe_lock = asyncio.Lock()
        self._probed = 0.0

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
        await self._client.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def loaded(self) -> bool:
        """Whether the speech models can be used."""
        return self._loading is not None and self._loading.done() and self.failure is None

    async def ready(self) -> bool:
        """Whether a recording sent now would be answered: the speech models are loaded, and
        Triton really gives the served version's answer to a real question (asked at most once a
        second)."""
        if not self.loaded():
            return False
        async with self._probe_lock:
            if time.monotonic() - self._probed < PROBE_SECONDS:
                return True
            try:
                model = self._current.get()
                second = np.zeros(SAMPLE_RATE, np.float32)
                answer = await self._client.classify(
                    second,
                    np.array(model.tokenizer.encode("hello").ids),
                    version=str(model.version),
                    deadline=5.0,
                )
            except (TritonError, InputError) as error:
                logger.warning("not ready: %s", error)
                return False
            if not abs(float(answer.probabilities.sum()) - 1) < 1e-2:
                logger.warning("not ready: the model answers with what are no probabilities")
                return False
            self._probed = time.monotonic()
            return True

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
        """
        if not self.loaded():
            raise NotReadyError("the speech models are still being loaded")
        self._current_model()
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
        # Asked only now: another version may have taken over while this one was listened to.
        model = self._current_model()
        turns = list(heard.turns)
        if turns:
            began = time.monotonic()
            turns = with_emotions(turns, await self._classify(model, audio, turns))
            _watch("classify", time.monotonic() - began)
        duration = len(audio) / SAMPLE_RATE
        metrics.AUDIO.inc(duration)
        metrics.TURNS.inc(len(turns))
        for turn in turns:
            metrics.EMOTIONS.labels(turn.emotion, model.version).inc()
        return Result(model.version, duration, turns)

    def _current_model(self) -> LoadedModel:
        try:
            return self._current.get()
        except InputError as error:
            raise NotReadyError("no model version is served") from error

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

    async def _classify(
        self, model: LoadedModel, audio: np.ndarray, turns: list[Turn]
    ) -> np.ndarray:
        """Probabilities [turns, 4] by Triton, each turn's windows averaged."""
        clips = turn_clips(audio, turns)
        windows = clip_windows(clips, model.tokenizer, model.max_samples, model.max_tokens)
        try:
            answers = await self._client.classify_all(
                [(window.audio, np.array(window.input_ids)) for window in windows],
                version=str(model.version),
            )
        except TritonError as error:
            metrics.TRITON_FAILURES.labels(
                "late" if isinstance(error, TritonLateError) else "failed"
            ).inc()
            logger.warning("%s", error)
            raise NotReadyError("the emotion model does not answer") from error
        table = np.stack([answer.probabilities for answer in answers])
        return average_windows(windows, table, len(clips))


def _watch(stage: str, seconds: Seconds) -> None:
    metrics.STAGES.labels(stage).observe(seconds)
