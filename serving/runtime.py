"""What one service process holds: the speech models, the emotion model, the jobs.

The verbs answer requests; who may ask, and in which form, is `serving.api`'s matter.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO

import numpy as np

from components.conversation import SAMPLE_RATE, InputError, Seconds, Turn
from components.fusion import Clip, turn_measures
from components.profile import Settings
from serving import metrics, traces
from serving.analyze import Analysis, turn_clips, with_emotions
from serving.counted import count_answers, count_recording
from serving.emotions import Classified, Emotions
from serving.errors import BusyError, NotReadyError, TooLongError
from serving.fair import Work
from serving.log import Asked, LogSettings, PredictionLog
from serving.settings import ServeSettings
from serving.speech import Options, Speech, decode

LONGEST_CLIP: Seconds = 300.0
"""Of what comes as one turn; what is longer should be analysed."""

MOST_CLIPS = 64
"""In one request."""

AGAIN: Seconds = 2.0
"""Between a job's questions for a model that does not answer."""


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
        self.log = PredictionLog(settings.log, allowed) if allowed.on else None
        self._most_clips = serve.clips_waiting
        self._clips = 0
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
            StoppedError: nobody waits for it any more.
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
        while True:
            try:
                return await self.emotions.classify(clips, deadline=work.remaining())
            except NotReadyError:
                if not patient:
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
            TooLongError: a clip is longer than `LONGEST_CLIP`.
            BusyError: too many clips are under way.
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
        self._clips += len(uploads)
        try:
            with traces.stage("decode"):
                sounds = await asyncio.to_thread(_decode_clips, uploads)
            with traces.stage("classify"):
                answer = await self.emotions.classify(
                    list(zip(sounds, texts, strict=True)),
                    deadline=work.remaining(),
                    request_id=asked.request_id,
                )
        finally:
            self._clips -= len(uploads)
        metrics.AUDIO.inc(sum(map(len, sounds)) / SAMPLE_RATE)
        clips = list(zip(sounds, texts, strict=True))
        # Every clip is a turn of a recording of its own request, its time counted from its start.
        spoken = [Turn(asked.request_id, 0.0, len(s) / SAMPLE_RATE, "", text) for s, text in clips]
        turns = with_emotions(spoken, answer.probabilities)
        await asyncio.to_thread(self._note, asked, asked.request_id, answer, clips, turns)
        return answer


def _decode_clips(uploads: Sequence[IO[bytes]]) -> list:
    return [
        decode(upload, LONGEST_CLIP, f"clip {number}")
        for number, upload in enumerate(uploads, start=1)
    ]
