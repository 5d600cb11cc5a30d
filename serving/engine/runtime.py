"""What one service process holds: the speech models, the emotion model, the jobs.

The verbs answer requests; who may ask, and in which form, is `serving.api.app`'s matter.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import IO

import numpy as np

from components.base import InputError
from components.config import Settings
from components.conversation import SAMPLE_RATE, Seconds, Turn
from components.fusion import Clip, turn_measures
from serving import metrics, traces
from serving.engine.analyze import Analysis, turn_clips, with_emotions
from serving.engine.classifier import Classified, Emotions
from serving.engine.count import count_answers, count_recording
from serving.engine.prediction_log import Asked, LogSettings, PredictionLog
from serving.engine.scheduling import Work
from serving.engine.speech import Options, Speech, decode, plain
from serving.errors import BusyError, LateError, NotReadyError, TooLongError
from serving.settings import ServeSettings

LONGEST_CLIP: Seconds = 300.0
"""Of what comes as one turn; what is longer should be analysed."""

MOST_CLIPS = 64
"""In one request."""

AGAIN: Seconds = 2.0
"""Between a job's questions for a model that does not answer, or has too much to do."""

PATIENCE: Seconds = 1800.0
"""After so long without an answer a job has failed: others wait behind it."""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a recording, and the model version that gave its emotions."""

    version: int
    analysis: Analysis


class Runtime:
    """The service's working parts; use it from one event loop.

    Args:
        settings: where things lie; `triton_url` is asked.
        serve: how the service behaves.
    """

    def __init__(self, settings: Settings, serve: ServeSettings) -> None:
        self.speech = Speech(settings, serve)
        self.emotions = Emotions(settings, serve)
        allowed = LogSettings()
        # What was logged in other days is still to be erased, on request and when it is too old.
        wanted = allowed.on or settings.log.is_dir()
        self.log = PredictionLog(settings.log, allowed) if wanted else None
        self._most_clips = serve.clips_waiting
        self._clips = 0
        self._most_seconds = serve.clip_seconds_waiting
        self._most_at_once = min(serve.clip_seconds, serve.clip_seconds_waiting)
        self._samples = 0  # of the clips under way
        self._starting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to load the speech models; the service answers `/healthz` meanwhile."""
        self._starting = asyncio.create_task(self._start())

    async def _start(self) -> None:
        # First what is quick: clips are answered while the speech models take the processor.
        await self.emotions.ready()
        self.speech.start()

    async def stop(self) -> None:
        """Let go of everything."""
        await self.emotions.close()
        if self.log:
            await self.log.close()
        self.speech.stop()

    async def ready(self) -> bool:
        """Whether a recording sent now would be answered: the speech models are loaded, and the
        emotion model answers."""
        return self.speech.loaded() and await self.emotions.ready()

    async def analyze(
        self,
        upload: IO[bytes],
        options: Options,
        work: Work,
        asked: Asked,
        *,
        patient: bool = False,
    ) -> Result:
        """Analyse a recording.

        Args:
            upload: as it was sent.
            options: what is asked of it.
            work: told how far it is; stops it.
            asked: by whom, for the prediction log.
            patient: nobody waits at the other end: wait for a turn, and for the emotion model.

        Raises:
            NotReadyError: the speech models are still loading, or Triton does not answer.
            LateError: the deadline passed, or Triton did not answer in time.
            Stopped: nobody waits for it any more.
            InputError: as `Speech.listen`.
            BusyError: too many are waiting.
        """
        if not patient:
            self.emotions.model()  # without one, no need to begin
        audio, heard = await self.speech.listen(upload, options, work, patient=patient)
        work.step("classify", 0.0)
        with traces.stage("classify"):
            # Asked only now: another version may have taken over while this one was listened to.
            clips = turn_clips(audio, heard.turns)
            classified = await self._classify(clips, work, patient)
        turns = with_emotions(heard.turns, classified.probabilities)
        found = replace(heard, turns=tuple(turns))
        count_recording(found)
        await asyncio.to_thread(
            self._note, asked, options.session_id, classified, clips, turns, audio
        )
        return Result(classified.version, found)

    async def _classify(self, clips: Sequence[Clip], work: Work, patient: bool) -> Classified:
        until = time.monotonic() + (PATIENCE if patient else 0.0)
        while True:
            try:
                return await self.emotions.classify(clips, deadline=work.remaining())
            except (NotReadyError, BusyError, LateError):
                if time.monotonic() >= until:
                    raise
            await asyncio.sleep(AGAIN)
            work.step("classify", 0.0)

    def _note(
        self,
        asked: Asked,
        name: str,
        answer: Classified,
        clips: Sequence[Clip],
        turns: Sequence[Turn],
        audio: np.ndarray | None = None,
    ) -> None:
        """In a thread: count the answers, and write them down where that is allowed."""
        measures = [turn_measures(*clip) for clip in clips]
        count_answers(turns, measures, answer.version)
        if self.log:
            version, alias, embeddings = answer.version, answer.alias, answer.embeddings
            self.log.record(asked, name, version, alias, turns, measures, embeddings, audio)

    async def classify(
        self, uploads: Sequence[IO[bytes]], texts: Sequence[str], work: Work, asked: Asked
    ) -> Classified:
        """The emotions of turns that are cut already.

        Args:
            uploads: the sound of each turn, as it was sent.
            texts: the words of each turn.
            work: its deadline counts.
            asked: names the request.

        Raises:
            InputError: not one text for each sound, too many, or one that is no sound.
            TooLongError: a clip is longer than `LONGEST_CLIP`, or all together than may be sent.
            BusyError: too many clips, or too long ones, are under way.
            NotReadyError: Triton does not answer.
            LateError: the deadline passed.
        """
        if len(uploads) != len(texts):
            raise InputError(
                f"{len(uploads)} files “audio” and {len(texts)} fields “text” were sent; send one "
                "text for each, in the same order (an empty one where nothing was understood)"
            )
        if len(uploads) > MOST_CLIPS:
            raise TooLongError(f"{len(uploads)} clips were sent; send at most {MOST_CLIPS} at once")
        if self._clips + len(uploads) > self._most_clips:
            raise BusyError("too many clips are under way; try again later")
        async with self._decoded(uploads) as sounds:
            clips = list(zip(sounds, texts, strict=True))
            with traces.stage("classify"):
                answer = await self.emotions.classify(
                    clips, deadline=work.remaining(), request_id=asked.request_id
                )
            metrics.AUDIO.inc(sum(map(len, sounds)) / SAMPLE_RATE)
            # Every clip is a turn of a recording of its own request, its time counted from its
            # start.
            name = asked.request_id
            spoken = [Turn(name, 0.0, len(sound) / SAMPLE_RATE, "", text) for sound, text in clips]
            turns = with_emotions(spoken, answer.probabilities)
            await asyncio.to_thread(self._note, asked, name, answer, clips, turns)
        return answer

    @asynccontextmanager
    async def _decoded(self, uploads: Sequence[IO[bytes]]) -> AsyncIterator[list[np.ndarray]]:
        """The clips' sound, counted among what is under way as long as it is needed.

        A small upload may unpack to minutes, so each is counted before the next is decoded.
        """
        sounds: list[np.ndarray] = []
        self._clips += len(uploads)
        try:
            with traces.stage("decode"):
                for number, upload in enumerate(uploads, start=1):
                    sound = plain(upload)
                    if sound is None:
                        what = f"clip {number}"
                        sound = await asyncio.to_thread(decode, upload, LONGEST_CLIP, what)
                    sounds.append(sound)
                    self._samples += len(sound)
                    if sum(map(len, sounds)) > self._most_at_once * SAMPLE_RATE:
                        raise TooLongError(
                            f"the clips are longer than {self._most_at_once:g} seconds together; "
                            "send fewer at once"
                        )
                    if self._samples > self._most_seconds * SAMPLE_RATE:
                        raise BusyError("too many seconds of clips are under way; try again later")
            yield sounds
        finally:
            self._clips -= len(uploads)
            self._samples -= sum(map(len, sounds))
