"""The working parts of one service process: the speech models, the emotion model, the log.

It analyses recordings and classifies clips. Who may ask, and in which form, is up to `serving.api`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from components.base import DatabaseAwayError, InputError, Stopped
from components.config import Settings, version_speech
from components.conversation import SAMPLE_RATE, Seconds, Turn, mark_uncertain, peaks
from components.diarize import RunningSpeakers
from components.fusion import Clip, turn_clip, turn_measures
from components.traffic import Copies, TurnLog, artifacts_of
from serving import metrics, traces
from serving.engine.analysis import Analysis
from serving.engine.answer_metrics import count_answers, count_recording
from serving.engine.classified import Classified
from serving.engine.classifier import FOLLOW_SECONDS, ServedClassifier
from serving.engine.decoding import decode, read_small_wav
from serving.engine.options import Options
from serving.engine.prediction_log import LogSettings, PredictionLog, RequestInfo
from serving.engine.scheduling import Places, Sender, Work
from serving.engine.speech import FindVoices, Speech
from serving.errors import BusyError, LateError, NotReadyError, TooLongError
from serving.settings import ServeSettings
from serving.threads import CLIPS, RECORDINGS, STORE
from serving.voices import VoiceStore

logger = logging.getLogger(__name__)

MAX_CLIP_SECONDS: Seconds = 300.0
"""Of one clip; a longer one should be analysed as a recording."""

MAX_CLIPS = 64
"""In one request."""

RETRY_SECONDS: Seconds = 2.0
"""Between a job's attempts while the emotion model is busy or does not answer."""

EXPIRY_SECONDS: Seconds = 600.0
"""How often expired voice prints are looked for; none is used any more by then."""

MAX_RETRY_SECONDS: Seconds = 1800.0
"""A job fails after so long without an answer, because other jobs wait behind it."""


OTHER_SPEECH = "another version took over meanwhile, which is served with other speech models"


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a recording, and the model version that gave its emotions, with its labels."""

    version: int
    analysis: Analysis
    labels: tuple[str, ...]


class Runtime:
    """The service's working parts; use it from one event loop."""

    def __init__(self, settings: Settings, serve: ServeSettings) -> None:
        self.speech = Speech(settings, serve)
        self.classifier = ServedClassifier(settings, serve)
        allowed = LogSettings()
        # Where nothing is logged any more, older entries must still be erased.
        is_logging = allowed.on or bool(settings.log_store) or settings.log.is_dir()
        self.copies = Copies(settings.runs, settings.cache, artifacts_of(settings.pipeline_root))
        about_log = (settings.log_location, settings.feedback_url, allowed, self.copies)
        self.log = PredictionLog(*about_log) if is_logging else None
        self.voices = VoiceStore(settings.home, serve)
        self.turns = self.log.turns if self.log else TurnLog(*about_log[:2])
        self._clips = Places(serve.clips_waiting)
        self._samples = Places(round(serve.clip_seconds_waiting * SAMPLE_RATE))
        self._max_request_seconds = min(serve.clip_seconds, serve.clip_seconds_waiting)
        self._serve = serve
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to load the speech models; the service answers `/healthz` meanwhile."""
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._expire())]

    async def _follow(self) -> None:
        # The emotion model is ready soon: clips are answered while the speech models are loaded.
        first = Path(self._serve.first) if self._serve.first else None
        if not await self.classifier.ready() and (first or self._serve.profile):
            with contextlib.suppress(InputError):  # the supervisor refuses such a version
                self.speech.use(version_speech(first, self._serve.profile))
        while True:
            with contextlib.suppress(NotReadyError):
                self._use_its_speech()
            await asyncio.sleep(FOLLOW_SECONDS)

    async def _expire(self) -> None:
        """Erase voice prints whose time is over, also where no more may be kept."""
        while True:
            try:
                await STORE.run(self.voices.erase_expired)
            except Exception:
                logger.exception("voice prints that have expired cannot be erased now")
            await asyncio.sleep(EXPIRY_SECONDS)

    def _use_its_speech(self) -> None:
        """Have the speech models that the version in production is served with."""
        self.speech.use(self.classifier.model().speech)

    async def stop(self) -> None:
        """Release everything."""
        for task in self._tasks:
            task.cancel()
        await self.classifier.close()
        if self.log:
            await self.log.close()
        self.turns.close()
        self.voices.close()
        self.speech.stop()

    async def ready(self) -> bool:
        """Whether a recording sent now would be answered: the speech models are loaded, and the
        emotion model answers."""
        return self.speech.loaded() and await self.classifier.ready()

    async def analyze(
        self,
        upload: IO[bytes],
        options: Options,
        work: Work,
        request_info: RequestInfo,
        *,
        samples: Mapping[str, IO[bytes]] | None = None,
        background: bool = False,
        is_wanted: Callable[[], Awaitable[bool]] | None = None,
    ) -> Result:
        """Analyse a recording.

        Args:
            upload: as it was sent.
            options: the caller's.
            work: gets the progress, and may be stopped.
            request_info: the request, for the prediction log.
            samples: of voices, by the speakers' names, as they were sent; they are not kept.
            background: nobody waits at the other end: wait for a turn, and for the emotion model.
            is_wanted: asked once an erasure reaches the analysis; one before that has left no mark.

        Raises:
            NotReadyError: the speech models are still loading, or Triton does not answer.
            LateError: the deadline passed, or Triton did not answer in time.
            Stopped: the work was stopped, or is not wanted.
            InputError: as `Speech.find_turns`.
            BusyError: too many are waiting.
        """
        if not background:
            self._use_its_speech()  # without a version there is no need to begin
        async with self._under_way(request_info, options.session_id):
            if is_wanted is not None and not await is_wanted():
                raise Stopped("it was erased before it was begun")
            until = time.monotonic() + (MAX_RETRY_SECONDS if background else 0.0)
            find = partial(self.voices.find, request_info.owner, options.kept)
            sent = (upload, options, work, until, samples, find if options.kept else None)
            while True:
                audio, analysis = await self._find_turns(*sent)
                work.step("classify", 0.0)
                with traces.stage("classify"):
                    # Only now is a version chosen: another may have taken over in the meantime.
                    clips = [turn_clip(audio, turn) for turn in analysis.turns]
                    answer = await self._classify(clips, work, background)
                if not (answer.speech and analysis.speech) or answer.speech.fits(analysis.speech):
                    break
                self._use_its_speech()
                if time.monotonic() >= until:
                    raise NotReadyError(OTHER_SPEECH)
            turns = with_emotions(analysis.turns, answer)
            analysis = replace(analysis, turns=turns)
            if options.waveform:
                analysis = replace(analysis, peaks=tuple(peaks(audio).tolist()))
            count_recording(analysis)
            about = (request_info, options.session_id, answer)
            # To its end: what is written after the block is out of an erasure's reach.
            logged = without_names(turns, options.named)
            await RECORDINGS.run_through(self._count_and_log, *about, clips, logged, audio)
        return Result(answer.version, analysis, answer.labels)

    async def hear_next(
        self, sound: np.ndarray, options: Options, running: RunningSpeakers, work: Work
    ) -> Analysis:
        """As `Speech.find_next_turns`, by the models of the version in production."""
        with contextlib.suppress(NotReadyError):  # the models that are loaded will do
            self._use_its_speech()
        return await self.speech.find_next_turns(sound, options, running, work)

    def _under_way(self, request_info: RequestInfo, name: str) -> AbstractAsyncContextManager[None]:
        """While a recording is analysed, an erasure reaches it."""
        return self.log.under_way(request_info, name) if self.log else nullcontext()

    async def _find_turns(
        self,
        upload: IO[bytes],
        options: Options,
        work: Work,
        until: Seconds,
        samples: Mapping[str, IO[bytes]] | None,
        voices: FindVoices | None,
    ) -> tuple[np.ndarray, Analysis]:
        """As `Speech.find_turns`; before `until`, wait for other speech models to be loaded, and
        for the database of voice prints."""
        while True:
            background = time.monotonic() < until
            try:
                return await self.speech.find_turns(
                    upload, options, work, samples=samples, voices=voices, background=background
                )
            except (NotReadyError, DatabaseAwayError):
                if not background or self.speech.failure:
                    raise
            await asyncio.sleep(RETRY_SECONDS)
            work.step("decode", 0.0)

    async def _classify(self, clips: Sequence[Clip], work: Work, background: bool) -> Classified:
        until = time.monotonic() + (MAX_RETRY_SECONDS if background else 0.0)
        while True:
            try:
                return await self.classifier.classify(clips, deadline=work.remaining())
            except (NotReadyError, BusyError, LateError):
                if time.monotonic() >= until:
                    raise
            await asyncio.sleep(RETRY_SECONDS)
            work.step("classify", 0.0)

    def _count_and_log(
        self,
        request_info: RequestInfo,
        name: str,
        answer: Classified,
        clips: Sequence[Clip],
        turns: Sequence[Turn],
        audio: np.ndarray | None = None,
    ) -> None:
        """In a thread: count the answers, and log them where that is allowed."""
        measures = [turn_measures(*clip) for clip in clips]
        count_answers(turns, measures, answer.version)
        if self.log:
            self.log.record(request_info, name, answer, turns, measures, audio)

    async def classify(
        self,
        uploads: Sequence[IO[bytes]],
        texts: Sequence[str],
        work: Work,
        request_info: RequestInfo,
    ) -> tuple[Classified, tuple[Turn, ...], list[str]]:
        """The emotions of turns that are cut already.

        Args:
            uploads: the sound of each turn, as it was sent.
            texts: the words of each turn.
            work: gives the deadline.
            request_info: the request, for its id and the prediction log.

        Returns:
            The answer, its clips, each as a turn, and notes on the sound.

        Raises:
            InputError: not one text for each sound, or an upload that is no sound.
            TooLongError: too many clips, one longer than `MAX_CLIP_SECONDS`, or too many seconds.
            BusyError: too many clips, or too many seconds of them, are under way.
            NotReadyError: Triton does not answer.
            LateError: the deadline passed.
        """
        if len(uploads) != len(texts):
            raise InputError(
                f"{len(uploads)} files “audio” and {len(texts)} fields “text” were sent; send one "
                "text for each, in the same order (an empty one where nothing was understood)"
            )
        if len(uploads) > MAX_CLIPS:
            raise TooLongError(f"{len(uploads)} clips were sent; send at most {MAX_CLIPS} at once")
        if not self._clips.has_room(work.sender, len(uploads)):
            raise BusyError("too many clips are under way; try again later")
        notes: list[str] = []
        async with self._decoded(uploads, work.sender, notes) as sounds:
            clips = list(zip(sounds, texts, strict=True))
            with traces.stage("classify"):
                answer = await self.classifier.classify(
                    clips, deadline=work.remaining(), request_id=request_info.request_id
                )
            metrics.AUDIO.inc(sum(map(len, sounds)) / SAMPLE_RATE)
            # A clip is logged as a turn of a recording that is named by the request.
            name = request_info.request_id
            spoken = [Turn(name, 0.0, len(sound) / SAMPLE_RATE, "", text) for sound, text in clips]
            turns = with_emotions(spoken, answer)
            await CLIPS.run(self._count_and_log, request_info, name, answer, clips, turns)
        return answer, turns, notes

    @asynccontextmanager
    async def _decoded(
        self, uploads: Sequence[IO[bytes]], sender: Sender, notes: list[str]
    ) -> AsyncIterator[list[np.ndarray]]:
        """The clips' sound, counted as under way until the block ends, and what is odd in it.

        A small upload may unpack to minutes, so each is counted before the next is decoded.
        """
        sounds: list[np.ndarray] = []
        with ExitStack() as places:
            places.enter_context(self._clips.taken(sender, len(uploads)))
            with traces.stage("decode"):
                for number, upload in enumerate(uploads, start=1):
                    sound = read_small_wav(upload)
                    if sound is None:
                        what = f"clip {number}"
                        heard = await CLIPS.run(decode, upload, MAX_CLIP_SECONDS, what)
                        sound = heard.samples
                        notes += (f"{what} {note}" for note in heard.notes)
                    sounds.append(sound)
                    if sum(map(len, sounds)) > self._max_request_seconds * SAMPLE_RATE:
                        raise TooLongError(
                            f"the clips are longer than {self._max_request_seconds:g} seconds "
                            "together; send fewer at once"
                        )
                    if not self._samples.has_room(sender, len(sound)):
                        raise BusyError("too many seconds of clips are under way; try again later")
                    places.enter_context(self._samples.taken(sender, len(sound)))
            yield sounds


def without_names(turns: Sequence[Turn], names: Sequence[str]) -> tuple[Turn, ...]:
    """The turns as they are logged: who was known by the voice is a number.

    >>> said = [Turn("call", 0.0, 1.0, "Ann", "hi"), Turn("call", 1.0, 2.0, "B", "oh")]
    >>> [turn.speaker for turn in without_names(said, ["Ann"])]
    ['NAMED_1', 'B']
    """
    labels = {name: f"NAMED_{number}" for number, name in enumerate(names, start=1)}
    return tuple(replace(t, speaker=labels.get(t.speaker, t.speaker)) for t in turns)


def with_emotions(turns: Sequence[Turn], answer: Classified) -> tuple[Turn, ...]:
    """The turns with their answers; those that the model is not sure of are marked."""
    rows = zip(turns, answer.probabilities, strict=True)
    answered = (turn.answered(row, answer.labels) for turn, row in rows)
    return tuple(mark_uncertain(answered, answer.uncertain_below))
