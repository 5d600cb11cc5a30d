"""The speech models of one service process, and the queues in front of them.

The models run in threads, so the event loop goes on answering. Short and long recordings have a
queue each. One recording of each queue is worked on; the long one gives way after each step.
"""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import IO, TypeVar

import numpy as np

from components.base import MOST_AT_ONCE, InputError, process_cores
from components.config import Settings, VersionSpeech
from components.conversation import SAMPLE_RATE, read_channels
from components.conversation.audio_length import seconds_up_to
from components.diarize import MAX_SAMPLE, RunningSpeakers
from serving import metrics, traces
from serving.engine.analysis import Analysis
from serving.engine.analyze import APART, Analyzer
from serving.engine.decoding import check_length, decode, heard, refusals, sample_of
from serving.engine.options import Options
from serving.engine.scheduling import AdmissionQueue, FairLock, Sender, Work, result_of
from serving.errors import NotReadyError
from serving.settings import ServeSettings
from serving.threads import RECORDINGS, Threads
from serving.voices import VoicePrint

logger = logging.getLogger(__name__)

T = TypeVar("T")

FindVoices = Callable[[], Mapping[str, VoicePrint]]
"""Finds voice prints that are kept, by the speakers' names. It is called when the recording's turn
has come, so that one which was erased meanwhile is not used."""


class Speech:
    """The speech models of the version that is served, and the queues in front of them."""

    def __init__(self, settings: Settings, serve: ServeSettings) -> None:
        self.failure: BaseException | None = None
        self._settings = settings
        self._max_seconds = settings.max_seconds
        self._short_seconds = serve.short_seconds
        self._wanted: VersionSpeech | None = None
        self._in_use: tuple[Analyzer, VersionSpeech] | None = None
        self._short = AdmissionQueue(serve.waiting, "recordings")
        self._long = AdmissionQueue(serve.waiting, "long recordings")
        self._models = FairLock()
        self._threads = Threads("speech", 2)  # one for each queue
        # Stretches of all live calls, in their order. A stretch keeps one core busy, nearly.
        self._live = Threads("live", min(MOST_AT_ONCE, process_cores()))
        self._loading: asyncio.Task[None] | None = None

    def use(self, speech: VersionSpeech) -> None:
        """Begin to load a version's models, unless they are there; call it in the event loop.

        Those of another version are let go at once: nothing is found by them any more.
        """
        if speech == self._wanted:
            return
        self._wanted = speech
        if self._in_use and speech.fits(self._in_use[1]):
            return
        self._in_use, self.failure = None, None
        self._loading = asyncio.create_task(self._load(speech, self._loading))

    async def _load(self, speech: VersionSpeech, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        if speech is not self._wanted:
            return
        gc.unfreeze()  # what is let go may be collected
        gc.collect()
        began = time.monotonic()
        try:
            loaded = await self._threads.run(self._analyzer, speech)
        except Exception as error:
            if speech is self._wanted:
                self.failure = error
            if isinstance(error, InputError):
                logger.error("the speech models cannot be loaded: %s", error)
            else:
                logger.exception("the speech models cannot be loaded")
            return
        if speech is self._wanted:
            self._in_use = loaded
        # The libraries' million objects stay for good. Frozen, they are not walked by every garbage
        # collection while requests wait.
        gc.freeze()
        gc.collect()  # cheap now; the next full collection depends on how many objects this leaves
        logger.info("speech models loaded in %.1f s", time.monotonic() - began)

    def _analyzer(self, speech: VersionSpeech) -> tuple[Analyzer, VersionSpeech]:
        """In a thread: load the models; they, and what they are."""
        used = replace(speech, digests=speech.check_here(self._settings))
        analyzer = Analyzer(speech.step, self._settings, text_languages=speech.text_languages)
        analyzer.load()
        return analyzer, used

    def stop(self) -> None:
        """Start no more work."""
        self._threads.stop()
        self._live.stop()

    def loaded(self) -> bool:
        """Whether the models can be used."""
        return self._in_use is not None

    def _loaded(self) -> tuple[Analyzer, VersionSpeech]:
        if self._in_use is None:
            raise NotReadyError("the speech models are still being loaded")
        return self._in_use

    def check_options(self, options: Options) -> None:
        """Refuse what the models cannot do, before a recording waits for them. While they are being
        loaded nothing is refused.

        Raises:
            InputError: as of `Analyzer.check_options`.
        """
        if self._in_use is not None:
            self._in_use[0].check_options(options)

    def check_live(self, options: Options) -> None:
        """Refuse a live call that the models cannot listen to.

        Raises:
            NotReadyError: they are being loaded.
            InputError: as of `Analyzer.check_options`; or the version's channels are its speakers.
        """
        analyzer, _ = self._loaded()
        if analyzer.profile.by_channel:
            raise InputError(
                "the version in production takes each channel for a speaker, and a live call has"
                " one channel; send a recording"
            )
        analyzer.check_options(options)

    async def find_turns(
        self,
        upload: IO[bytes],
        options: Options,
        work: Work,
        *,
        samples: Mapping[str, IO[bytes]] | None = None,
        voices: FindVoices | None = None,
        background: bool = False,
    ) -> tuple[np.ndarray, Analysis]:
        """Who said what and when in a recording, without emotions.

        Args:
            upload: the recording as it was sent.
            options: the caller's.
            work: gets the progress; once it is stopped, this ends at the next step.
            samples: of voices, by the speakers' names, as they were sent.
            voices: finds those that are kept.
            background: wait, no matter how many others are waiting.

        Returns:
            The sound, float32 [samples] at 16 kHz, and its turns.

        Raises:
            NotReadyError: the models are still being loaded.
            BusyError: too many are waiting.
            NotAudioError: it is not sound.
            TooLongError: it is longer than the settings allow.
            InputError: a sample is no voice's, or of two; a voice print is kept no more, or is of
                another model.
            Stopped: the work was stopped.
            LateError: its deadline passed.
        """
        self._loaded()
        samples = samples or {}
        short = await RECORDINGS.run(self.is_short, upload, samples)
        async with self._turn(self._short if short else self._long, work.sender, background):
            return await result_of(
                self._threads.start(
                    self._use_models, upload, options, work, not short, samples, voices
                ),
                work,
            )

    def is_short(self, upload: IO[bytes], samples: Mapping[str, IO[bytes]] | None = None) -> bool:
        """Whether a recording goes into the queue of the short ones, whatever its header says: with
        its samples, which are listened to as well."""
        what = {"the recording": (upload, self._max_seconds)}
        what |= {sample_of(name): (file, MAX_SAMPLE) for name, file in (samples or {}).items()}
        seconds = 0.0
        for name, (file, most) in what.items():
            with refusals(name):
                check_length(file, most, name)
                if seconds <= self._short_seconds:
                    seconds += seconds_up_to(file, self._short_seconds)
        return seconds <= self._short_seconds

    @property
    def voice_model(self) -> str | None:
        """The digest of the pipeline that tells voices; None while it is being loaded."""
        return _voice_model(self._in_use[1]) if self._in_use else None

    async def voice_print(self, upload: IO[bytes], name: str, work: Work) -> VoicePrint:
        """The voice in a sample; the arguments are as of `find_turns`.

        Raises:
            NotReadyError, BusyError, NotAudioError, TooLongError, Stopped, LateError: as
                `find_turns`.
            InputError: it is no voice's, or of two; or the version compares no voices.
        """
        self._loaded()
        sample = (await RECORDINGS.run(decode, upload, MAX_SAMPLE, sample_of(name))).samples
        short = len(sample) <= self._short_seconds * SAMPLE_RATE
        async with self._turn(self._short if short else self._long, work.sender, False):
            return await result_of(
                self._threads.start(self._hear_voice, sample, name, work, not short), work
            )

    def _hear_voice(self, sample: np.ndarray, name: str, work: Work, gives_way: bool) -> VoicePrint:
        """In a thread."""
        with self._models, metrics.work_counted():
            analyzer, used = self._loaded()
            step = self._step(work, gives_way)
            vector = analyzer.voice_prints({name: sample}, step)[name]
        return VoicePrint(vector, _voice_model(used))

    def _step(self, work: Work, gives_way: bool) -> Callable[[str, float], None]:
        """Reports a step of work that has the models; all lets live calls go first, and work that
        gives way lets everybody."""

        def step(stage: str, share: float) -> None:
            work.step(stage, share)
            self._models.let_others_go(urgent_only=not gives_way)

        return step

    async def find_next_turns(
        self, sound: np.ndarray, options: Options, running: RunningSpeakers, work: Work
    ) -> Analysis:
        """Who said what in the next stretch of a live call, which goes before all recordings.

        Args:
            sound: float32 [samples], mono at 16 kHz; its times are counted from its own beginning.
            options: the caller's.
            running: the call's speakers; this stretch's are added.
            work: the call's.

        Raises:
            NotReadyError: the models are being loaded.
            Stopped: the work was stopped.
        """
        self._loaded()
        return await result_of(
            self._live.start(self._hear_next, sound, options, running, work), work
        )

    def _hear_next(
        self, sound: np.ndarray, options: Options, running: RunningSpeakers, work: Work
    ) -> Analysis:
        """In a thread."""
        work.step("wait", 0.0)
        with self._models.urgently(), metrics.work_counted():
            analyzer, used = self._loaded()
            found = analyzer.find_turns(sound, options, work.step, running=running)
        return replace(found, speech=used)

    @asynccontextmanager
    async def _turn(
        self, queue: AdmissionQueue, sender: Sender, background: bool
    ) -> AsyncIterator[None]:
        metrics.WAITING.inc()
        try:
            began = time.monotonic()
            async with queue.turn(sender, background=background):
                metrics.STAGES.labels("wait").observe(time.monotonic() - began)
                yield
        finally:
            metrics.WAITING.dec()

    def _use_models(
        self,
        upload: IO[bytes],
        options: Options,
        work: Work,
        gives_way: bool,
        samples: Mapping[str, IO[bytes]],
        voices: FindVoices | None,
    ) -> tuple[np.ndarray, Analysis]:
        """In a thread: decode, then use the models. A recording that gives way lets the other
        queue's go before each of its steps; one that does not goes through to its end."""
        work.step("decode", 0.0)
        with traces.stage("decode"):
            sound = heard(upload, self._max_seconds, "the recording")
            enrolled = {
                name: decode(sample, MAX_SAMPLE, sample_of(name)).samples
                for name, sample in samples.items()
            }
        step = self._step(work, gives_way)
        kept = voices() if voices else {}
        analyzer, _ = self._loaded()
        channels = None
        if analyzer.wants_channels(options):
            channels = read_channels(upload, "the recording")
        with self._models, metrics.work_counted():
            analyzer, used = self._loaded()
            if channels is None and analyzer.wants_channels(options):  # another version took over
                channels = read_channels(upload, "the recording")
            model = _voice_model(used)
            known = {name: voice.heard_by(model, name) for name, voice in kept.items()}
            analysis = analyzer.find_turns(
                sound.samples, options, step, channels=channels, samples=enrolled, voices=known
            )
        logger.info("language: %s", analysis.language)
        odd = [*sound.notes, *([APART] if sound.apart and channels is None else [])]
        notes = tuple(f"the recording {note}" for note in (*odd, *analysis.notes))
        return sound.samples, replace(analysis, notes=notes, speech=used)


def _voice_model(used: VersionSpeech) -> str:
    pipeline = used.step.diarize.pipeline
    return used.digests.get(pipeline, pipeline)
