"""One call that is listened to while it goes on.

A stretch of speech that has ended is heard as a recording is: words, the voices in it, turns,
emotions. Its voices become the call's speakers, whose numbers stay. A turn whose speaker goes on in
the next stretch grows: it is told again under its number.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from components.base import MoodlineError, Stopped, Unavailable
from components.config import VersionSpeech
from components.conversation import SAMPLE_RATE, Seconds, Turn, Word
from components.conversation.seglst import turn_entry
from components.conversation.words import word_entry
from components.diarize import RunningSpeakers
from components.fusion import Clip
from serving import metrics
from serving.engine.options import Options
from serving.engine.runtime import Runtime, with_emotions
from serving.engine.scheduling import Sender, Work
from serving.errors import BusyError, LateError, NotReadyError, RestartError
from serving.live.endpoints import Endpointer
from serving.live.sound import SAMPLE_BYTES, CallSound

logger = logging.getLogger(__name__)

BEHIND: Seconds = 60.0
"""So much speech may wait to be heard; then no more sound is taken for a while."""

AT_ONCE: Seconds = 20.0
"""Stretches that wait are heard as one, up to this length: Whisper reads 30 s as quickly as 3."""

SLACK: Seconds = 600.0
"""A call that lasts so much longer than its sound is handed over."""

PAUSE: Seconds = 1.5
"""A longer pause ends a turn, where neither the caller nor the version gives a number ("auto": a
call's usual pauses are not known before its end)."""

LONGEST_TURN: Seconds = 30.0
"""A turn grows up to this; then the speaker has another one."""

SETTLED: Seconds = 5.0
"""The language is heard in a stretch of this length at least, and then kept."""

EMOTION_SECONDS: Seconds = 5.0
"""A turn is told without an emotion where the model does not answer by then."""

Event = dict[str, Any]
"""As it is sent; `seq` counts a call's events from 1."""


class Call:
    """A call: its sound, what was found in it so far, and what goes on.

    Use it from one event loop. `start` begins to listen, `drop` ends it and deletes its sound.

    Args:
        id: names it.
        sender: whose key began it.
        options: the caller's.
        max_seconds: how long it may last.

    Attributes:
        asked: the caller's options, for the final answer.
        events: all that was told so far.
        turns: found so far.
        ended: whether all was said.
        handing: makes a job of it.
        job: of the final answer, once the call was handed over.
    """

    def __init__(
        self, id: str, sender: Sender, options: Options, runtime: Runtime, max_seconds: Seconds
    ) -> None:
        self.id, self.sender, self.asked = id, sender, options
        # The words are told, whatever the final answer is to hold; that alone has the rest.
        self._options = replace(options, words=True, unaligned=False, waveform=False)
        self.events: list[Event] = []
        self.job = ""
        self.sound = CallSound()
        self.failure: BaseException | None = None
        self._runtime, self._max_seconds = runtime, max_seconds
        self._endpoints = Endpointer()
        self._speakers = RunningSpeakers(options.num_speakers or options.max_speakers)
        self._speech: VersionSpeech | None = None
        self._work = Work(sender=sender)
        self._waiting: deque[tuple[Seconds, Seconds]] = deque()
        self._changed = asyncio.Condition()
        self.ended = False
        self.turns: list[Turn] = []
        self._task: asyncio.Task[None] | None = None
        self.handing: asyncio.Task[None] | None = None
        self._began = time.monotonic()

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen())

    @property
    def full(self) -> bool:
        """Whether it has lasted as long as it may."""
        return self.sound.seconds >= self._max_seconds

    @property
    def slow(self) -> bool:
        """Whether its sound comes so slowly that it only keeps a place."""
        return time.monotonic() - self._began > self.sound.seconds + SLACK

    async def hear(self, pcm: bytes) -> None:
        """Take the next piece of sound; wait where too much speech waits to be heard.

        Args:
            pcm: 16 bits a sample, little-endian, mono, 16 kHz; whole samples.
        """
        if self.ended:
            return
        left = round(self._max_seconds * SAMPLE_RATE) - self.sound.samples
        sound = self.sound.add(pcm[: SAMPLE_BYTES * left], time.monotonic())
        # Before anything is waited for: the caller may be cancelled there.
        self._waiting.extend(self._endpoints.hear(sound))
        async with self._changed:
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self._behind() <= BEHIND or self.failure)

    def _behind(self) -> Seconds:
        return sum(end - start for start, end in self._waiting)

    async def end(self) -> None:
        """All was said: hear what has not been heard, and wait for it.

        Raises:
            MoodlineError: what ended the listening.
        """
        if not self.ended:
            self._waiting.extend(self._endpoints.end())
            self.ended = True
        async with self._changed:
            self._changed.notify_all()
        assert self._task is not None
        await asyncio.wait({self._task})
        if self.failure is not None:
            raise self.failure

    async def tell(self, type: str, **content: Any) -> None:
        """Add an event."""
        self.events.append({"type": type, "seq": len(self.events) + 1, **content})
        async with self._changed:
            self._changed.notify_all()

    async def news(self, seen: int) -> list[Event]:
        """The events after so many; waits until there is one.

        Raises:
            MoodlineError: what ended the listening, once all events were told.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.events) > seen or self.failure)
        if len(self.events) > seen:
            return self.events[seen:]
        assert self.failure is not None
        raise self.failure

    async def drop(self) -> None:
        """End it; its sound is deleted."""
        self._work.stop()
        if self.failure is None:
            await self._fail(Stopped("the call was ended"))
        tasks = [task for task in (self._task, self.handing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.sound.close()

    async def _fail(self, error: BaseException) -> None:
        async with self._changed:
            self.failure = error
            self._changed.notify_all()

    async def _listen(self) -> None:
        try:
            while True:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._waiting or self.ended)
                    if not self._waiting:
                        return
                    start, end = self._waiting.popleft()
                    while self._waiting and self._waiting[0][1] - start <= AT_ONCE:
                        _, end = self._waiting.popleft()
                    self._changed.notify_all()
                await self._hear_stretch(start, end)
        except NotReadyError:
            await self._fail(RestartError("another version took over, with other speech models"))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if not isinstance(error, MoodlineError):
                logger.exception("a live call failed")
            await self._fail(error)

    async def _hear_stretch(self, start: Seconds, end: Seconds) -> None:
        sound = self.sound.read(start, end)
        found = await self._runtime.hear_next(sound, self._options, self._speakers, self._work)
        if self._speech and found.speech and not found.speech.fits(self._speech):
            raise RestartError("another version took over, with other speech models")
        self._speech = found.speech
        if end - start >= SETTLED and found.language:
            self._options = replace(self._options, language=found.language)
        if found.words:
            words = [word_entry(_later(word, start)) for word in found.words]
            await self.tell("words", start=start, end=end, words=words)
        said = [_later(turn, start) for turn in found.turns]
        if not said:
            return
        first = len(self.turns)
        if self.turns and self._goes_on(self.turns[-1], said[0]):
            first -= 1
            space = found.words[0].space if found.words else " "
            said[0] = _joined(self.turns[-1], said[0], space)
        said = list(await self._with_emotions(said))
        self.turns[first:] = said
        for number, turn in enumerate(said, start=first):
            late = time.monotonic() - self.sound.came_at(turn.end)
            metrics.LIVE_TURN_SECONDS.observe(late)
            await self.tell("turn", number=number, turn=turn_entry(turn))

    def _goes_on(self, last: Turn, next: Turn) -> bool:
        pause = self._options.max_pause
        if pause is None and self._speech:
            pause = self._speech.step.align.max_pause
        if not isinstance(pause, int | float):
            pause = PAUSE
        return (
            last.speaker == next.speaker
            and next.start - last.end <= pause
            and next.end - last.start <= LONGEST_TURN
        )

    async def _with_emotions(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        clips: list[Clip] = [(self.sound.read(t.start, t.end), t.words) for t in turns]
        try:
            answer = await self._runtime.classifier.classify(
                clips, deadline=EMOTION_SECONDS, request_id=self.id
            )
        except (Unavailable, BusyError, LateError) as error:
            logger.warning("turns of a live call are told without emotions: %s", error)
            return turns
        return with_emotions(turns, answer)


Part = TypeVar("Part", Turn, Word)


def _later(part: Part, seconds: Seconds) -> Part:
    if part.start is None or part.end is None:
        return part
    return replace(part, start=round(part.start + seconds, 3), end=round(part.end + seconds, 3))


def _joined(last: Turn, next: Turn, space: str) -> Turn:
    """A speaker's turn that goes on; `space` stands between the two parts.

    >>> joined = _joined(Turn("c", 0.0, 3.0, "A", "I know."), Turn("c", 4.0, 5.0, "A", "So?"), " ")
    >>> joined.start, joined.end, joined.words
    (0.0, 5.0, 'I know. So?')
    """
    weights = last.duration, next.duration

    def mean(of_last: float | None, of_next: float | None) -> float | None:
        known = [(v, w) for v, w in zip((of_last, of_next), weights, strict=True) if v is not None]
        total = sum(weight for _, weight in known)
        return sum(value * weight for value, weight in known) / total if total else None

    return replace(
        next,
        start=last.start,
        words=f"{last.words}{space}{next.words}",
        asr_confidence=mean(last.asr_confidence, next.asr_confidence),
        speaker_confidence=mean(last.speaker_confidence, next.speaker_confidence),
    )
