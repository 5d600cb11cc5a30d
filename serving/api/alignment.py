"""What `/v1/align` does, and the thread that `/v1/export` shares: JSON in, turns out, in a thread.

A transcript of ten megabytes takes seconds to read, to align and to write. So one is worked on at a
time, a few wait, and each ends at its next step once nobody waits for it.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from components.align import align
from components.base import InputError, parse_json
from components.conversation import (
    SpeakerSegment,
    Turn,
    asr_segments,
    only_recording,
    parse_rttm,
)
from serving.api.accept import TurnsFormat, turns_text
from serving.api.schema import AlignIn
from serving.engine.scheduling import AdmissionQueue, Work, result_of
from serving.threads import ALIGNMENT

M = TypeVar("M", bound=BaseModel)
P = ParamSpec("P")
T = TypeVar("T")

MAX_WAITING = 8
"""Transcripts that may wait; more are answered 429."""


class Alignment:
    """The queue in front of the thread that aligns; use it from one event loop."""

    def __init__(self) -> None:
        self._queue = AdmissionQueue(MAX_WAITING, "transcripts")

    async def answer(self, body: bytes, chosen: TurnsFormat, work: Work) -> str:
        """The answer to a request's body, in the format that was chosen.

        Raises:
            BusyError: too many are waiting.
            InputError: the body cannot be aligned.
            RequestValidationError: a field of it is wrong.
            Stopped: the work was stopped.
            LateError: its deadline passed.
        """
        return await self.through(work, _answer, body, chosen, work)

    async def through(
        self, work: Work, function: Callable[P, T], *args: P.args, **more: P.kwargs
    ) -> T:
        """What a function says that needs the thread, once it is its turn.

        Raises:
            BusyError: too many are waiting.
            Stopped: the work was stopped.
            LateError: its deadline passed.
        """
        async with self._queue.turn(work.sender):
            return await result_of(ALIGNMENT.start(function, *args, **more), work)


def _answer(body: bytes, chosen: TurnsFormat, work: Work) -> str:
    work.step("read", 0.0)
    asked = read_body(AlignIn, body)
    work.step("align", 0.0)
    turns = _aligned(asked, work)
    work.step("write", 0.0)
    return turns_text(chosen, turns[0].session_id if turns else "recording", turns)


def read_body(model: type[M], body: bytes) -> M:
    """A request's JSON, as its type has it.

    Raises:
        HTTPException: 400, it is not UTF-8.
        InputError: it is not JSON.
        RequestValidationError: a field of it is wrong.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HTTPException(400, "the body is not JSON in UTF-8") from None
    try:
        return model.model_validate(parse_json(text, "the body"))
    except ValidationError as error:
        faults = error.errors(include_url=False)[:1]
        faults[0]["loc"] = ("body", *faults[0]["loc"])
        raise RequestValidationError(faults) from None


def _aligned(asked: AlignIn, work: Work) -> list[Turn]:
    segments = asr_segments(asked.words, "words")
    work.step("align", 0.3)
    name = asked.session_id
    if isinstance(asked.speakers, str):
        recordings = parse_rttm(asked.speakers, "speakers")
    else:
        try:
            spoken = [SpeakerSegment(s.start, s.end, s.speaker) for s in asked.speakers]
        except ValueError as error:
            raise InputError(f"speakers: {error}") from None
        recordings = {"recording": sorted(spoken)}
    recording, speakers = only_recording(recordings, "speakers", "recording")
    work.step("align", 0.6)
    return align(
        segments,
        speakers,
        session_id=name or recording,
        max_pause=asked.max_pause,
        method=asked.method,
    )
