"""The speech models of one service process, and who may use them when.

They work in threads, so the event loop goes on answering. Short and long recordings queue in
lanes of their own; the one of each that is being heard take turns with the models, step by step.
"""

import asyncio
import contextvars
import gc
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, TypeVar

import numpy as np

from components.base import InputError
from components.config import Settings, load_profile
from components.conversation import SAMPLE_RATE, Seconds, read_audio
from components.conversation.audio import announced_duration, plain_wav
from serving import metrics, traces
from serving.api.limits import SMALL
from serving.engine.analyze import Analysis, Analyzer
from serving.engine.scheduling import Baton, Lane, Work
from serving.errors import NotAudioError, NotReadyError, TooLongError
from serving.settings import ServeSettings

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a recording.

    Attributes:
        session_id: the recording's name.
        num_speakers: how many speak, if known.
        max_pause: in seconds; a longer pause begins a new turn; None takes the profile's.
        words: give the words too.
    """

    session_id: str
    num_speakers: int | None = None
    max_pause: Seconds | None = None
    words: bool = False


class Speech:
    """The speech models, loaded once, and the queues in front of them.

    Args:
        settings: where prepared models lie, and the longest recording.
        serve: the profile, and how many may wait.
    """

    def __init__(self, settings: Settings, serve: ServeSettings) -> None:
        self.failure: BaseException | None = None
        self._most = settings.max_seconds
        self._short_seconds = serve.short_seconds
        self._analyzer = Analyzer(load_profile(serve.profile), settings)
        self._short = Lane(serve.waiting, "recordings")
        self._long = Lane(serve.waiting, "long recordings")
        self._baton = Baton()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="speech")  # one for each lane
        self._loading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to load the models; call it in the event loop."""
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        began = time.monotonic()
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._analyzer.load)
        except Exception as error:
            self.failure = error
            logger.exception("the speech models cannot be loaded")
            return
        # The libraries' million objects stay for good: the collector need not walk them again and
        # again while requests wait.
        gc.freeze()
        gc.collect()  # now that it is cheap: it goes by how many objects the last one left
        logger.info("speech models loaded in %.1f s", time.monotonic() - began)

    def stop(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def loaded(self) -> bool:
        """Whether the models can be used."""
        return self._loading is not None and self._loading.done() and self.failure is None

    async def listen(
        self, upload: IO[bytes], options: Options, work: Work, *, patient: bool = False
    ) -> tuple[np.ndarray, Analysis]:
        """Who said what and when in a recording, without emotions.

        Args:
            upload: the recording as it was sent.
            options: what is asked.
            work: told how far it is; once it is stopped, this ends at the next step.
            patient: wait however many are waiting.

        Returns:
            The sound, float32 [samples], and what was heard in it.

        Raises:
            NotReadyError: the models are still being loaded.
            BusyError: too many are waiting.
            NotAudioError: it is not sound.
            TooLongError: it is longer than the settings allow.
            Stopped: nobody waits for it any more.
            LateError: its deadline passed.
        """
        if not self.loaded():
            raise NotReadyError("the speech models are still being loaded")
        length = await asyncio.to_thread(announced_duration, upload)
        short = length is not None and length <= self._short_seconds
        async with self._turn(self._short if short else self._long, patient):
            return await _finished(
                asyncio.get_running_loop().run_in_executor(
                    self._threads,
                    contextvars.copy_context().run,
                    lambda: self._hear(upload, options, work),
                ),
                work,
            )

    @asynccontextmanager
    async def _turn(self, lane: Lane, patient: bool) -> AsyncIterator[None]:
        metrics.WAITING.inc()
        try:
            began = time.monotonic()
            async with lane.turn(patient=patient):
                metrics.STAGES.labels("wait").observe(time.monotonic() - began)
                yield
        finally:
            metrics.WAITING.dec()

    def _hear(self, upload: IO[bytes], options: Options, work: Work) -> tuple[np.ndarray, Analysis]:
        """In a thread: decode, then use the models in turn with others."""
        work.step("decode", 0.0)
        with traces.stage("decode"):
            audio = decode(upload, self._most)

        def step(stage: str, share: float) -> None:
            work.step(stage, share)
            self._baton.pass_on()

        with self._baton.held():
            heard = self._analyzer.listen(
                audio,
                session_id=options.session_id,
                num_speakers=options.num_speakers,
                max_pause=options.max_pause,
                words=options.words,
                watch=traces.stage,
                step=step,
            )
        return audio, heard


def decode(upload: IO[bytes], most: Seconds, what: str = "the recording") -> np.ndarray:
    """An upload's sound, float32 [samples], mono 16 kHz.

    Raises:
        NotAudioError: it is not sound.
        TooLongError: it is longer than `most` seconds.
    """
    try:
        # A little more than the limit shows that it is exceeded; a bomb unpacks no further.
        audio = read_audio(upload, 0.0, most + 1)
    except InputError as error:
        reason = str(error).removeprefix("the audio: ")
        raise NotAudioError(f"{what} {reason}") from error
    if len(audio) > most * SAMPLE_RATE:
        raise TooLongError(f"{what} is longer than {most:g} seconds; send it in parts")
    return audio


def plain(upload: IO[bytes]) -> np.ndarray | None:
    """The sound of a short upload that needs no decoding; None where it is to be decoded.

    It takes less time than it would to wake a thread, and so is for the event loop.
    """
    upload.seek(0, 2)
    return plain_wav(upload) if upload.tell() <= SMALL else None


async def _finished(future: "asyncio.Future[T]", work: Work) -> T:
    """The thread's result; whoever is cancelled here stops the work and stays until it ended, so
    that the lane is free only when the thread is."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        work.stop()
        await asyncio.wait([future])
        raise
