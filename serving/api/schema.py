"""What the API takes and gives, as types; `/docs` is made from them."""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from components.align import Method
from components.config import Pause
from components.conversation import (
    DEFAULT_LABELS,
    EARLIEST,
    LATEST,
    PEAKS_PER_SECOND,
    Transcript,
    Turn,
)
from components.conversation.seglst import turn_entry
from components.conversation.words import word_entry
from serving.engine.runtime import Result

PAUSE = "Seconds; a longer pause begins a new turn. auto: what is usual in the recording."

Time = Annotated[float, Field(ge=EARLIEST, le=LATEST)]

SURE = "How probable the speaker is; left out where the method of alignment does not say."
EMOTION = "One of the labels of the model that answered: a statistical guess."
MODEL_LABELS = "The emotions that it tells apart, in the order of its probabilities."
NOTES = "What is odd in the sound, a sentence each: damage, gaps, a cut end, mixed tracks."
EXAMPLE_NOTES = ["the recording is cut: its header announces 61.20 s, and it holds 40.00 s"]
PROBABILITIES = dict(zip(DEFAULT_LABELS, (0.07, 0.71, 0.2, 0.02), strict=True))
EACH = "The probability of each of the model's labels."
UNCERTAIN = (
    "True where the model says that it does not know; the emotion is its best guess. Else left out."
)


SCHEMAS = "#/components/schemas/{model}"
"""Where the description of the API has its types."""


def _printable(text: str) -> str:
    """Databases take no NUL, and nobody needs the others."""
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise PydanticCustomError("control", "leave out line breaks and other control characters")
    return text


Printable = Annotated[str, AfterValidator(_printable)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(max_length=8_000)]  # more than anybody says within the longest clip


class _Out(BaseModel):
    model_config = ConfigDict(
        from_attributes=True, json_schema_serialization_defaults_required=False
    )


class ModelOut(_Out):
    """The model version that answered."""

    name: str = Field(default="moodline", examples=["moodline"])
    version: str = Field(description="The registry's version number.", examples=["3"])
    labels: list[str] | None = Field(
        None, description=MODEL_LABELS, examples=[list(DEFAULT_LABELS)]
    )


class ModelInfoOut(ModelOut):
    """The model version in production."""

    alias: str = Field(description="By which it is served.", examples=["production"])
    digest: str = Field(description="SHA-256 of the version; empty if it came from no registry.")
    verdict: str = Field(description="Of its gate.", examples=["passed"])


class TurnOut(_Out):
    """A speaker turn: a SegLST entry with an emotion."""

    session_id: str = Field(description="The recording's name.", examples=["call"])
    start_time: float = Field(description="Seconds from the beginning.", examples=[12.48])
    end_time: float = Field(examples=[15.9])
    speaker: str = Field(examples=["SPEAKER_00"])
    words: str = Field(examples=["That is wonderful news."])
    emotion: str | None = Field(None, description=EMOTION, examples=["happy"])
    confidence: float | None = Field(
        None, description="The probability of that emotion.", examples=[0.71]
    )
    probabilities: dict[str, float] | None = Field(None, description=EACH, examples=[PROBABILITIES])
    asr_confidence: float | None = Field(
        None, description="Mean score of the recognised words.", examples=[0.94]
    )
    speaker_confidence: float | None = Field(None, description=SURE, examples=[0.97])
    uncertain: bool | None = Field(None, description=UNCERTAIN, examples=[True])


class WordOut(_Out):
    """A word, as WhisperX writes it."""

    word: str = Field(examples=["wonderful"])
    start: float | None = Field(None, description="Seconds.", examples=[13.1])
    end: float | None = Field(None, examples=[13.62])
    score: float | None = Field(None, examples=[0.94])
    speaker: str | None = Field(None, examples=["SPEAKER_00"])
    speaker_confidence: float | None = Field(None, description=SURE, examples=[0.97])


class WaveformOut(_Out):
    """The outline of a recording's sound."""

    per_second: int = Field(description="Peaks in a second.", examples=[PEAKS_PER_SECOND])
    peaks: list[int] = Field(
        description="The largest magnitude in each stretch, in percent.", examples=[[0, 12, 64]]
    )


class AnalysisOut(_Out):
    """A recording's turns."""

    request_id: str | None = Field(
        None, description="Names this answer, for feedback.", examples=["9f0c6a…"]
    )
    model: ModelOut
    duration: float = Field(description="Of the recording, in seconds.", examples=[61.2])
    language: str | None = Field(
        None, description="In which it was read, as asked for or heard.", examples=["en"]
    )
    turns: list[TurnOut]
    words: list[WordOut] | None = Field(None, description="Where they were asked for.")
    unaligned: list[TurnOut] | None = Field(
        None,
        description="Where asked for: the recogniser's segments, whole, each with the speaker who"
        " overlaps it most; without emotions. Left out where channels are speakers.",
    )
    waveform: WaveformOut | None = Field(None, description="Where it was asked for.")
    notes: list[str] | None = Field(None, description=NOTES, examples=[EXAMPLE_NOTES])


def analysis_out(result: Result, words: bool, request_id: str) -> AnalysisOut:
    """An analysis as it is answered, with or without its words."""
    analysis = result.analysis
    return AnalysisOut(
        request_id=request_id,
        model=ModelOut(version=str(result.version), labels=list(result.labels)),
        duration=analysis.duration,
        language=analysis.language or None,
        turns=_turns_out(analysis.turns) or [],
        words=[WordOut(**word_entry(word)) for word in analysis.words] if words else None,
        unaligned=_turns_out(analysis.unaligned),
        waveform=_waveform_out(analysis.peaks),
        notes=list(analysis.notes) or None,
    )


def _turns_out(turns: Iterable[Turn] | None) -> list[TurnOut] | None:
    return None if turns is None else [TurnOut(**turn_entry(turn)) for turn in turns]


def _waveform_out(peaks: Iterable[int] | None) -> WaveformOut | None:
    return None if peaks is None else WaveformOut(per_second=PEAKS_PER_SECOND, peaks=list(peaks))


class ClipOut(_Out):
    """The emotion of one clip."""

    emotion: str = Field(description=EMOTION, examples=["happy"])
    confidence: float = Field(description="The probability of that emotion.", examples=[0.71])
    probabilities: dict[str, float] = Field(description=EACH, examples=[PROBABILITIES])
    uncertain: bool | None = Field(None, description=UNCERTAIN, examples=[True])


class ClassifiedOut(_Out):
    """The emotions of clips, in the order in which they were sent."""

    request_id: str = Field(
        description="Names this answer, for feedback: a clip is a turn of it.", examples=["9f0c6a…"]
    )
    model: ModelOut
    clips: list[ClipOut]
    notes: list[str] | None = Field(None, description=NOTES)


class JobOut(_Out):
    """A recording that is analysed in the background."""

    id: str = Field(examples=["5f1c0e7ab2d84f0c9a1de3a7c6b45d10"])
    recording: str = Field(description="Its name, from the file's.", examples=["call"])
    state: Literal["queued", "running", "done", "failed"]
    stage: str = Field(description="What is being done, while it runs.", examples=["transcribe"])
    share: float = Field(description="Of that stage that is done, 0 to 1.", examples=[0.42])
    created: datetime
    updated: datetime
    result: AnalysisOut | None = Field(None, description="Once it is done.")
    reason: str | None = Field(None, description="Why it failed, in one sentence.")


class ErasedOut(_Out):
    """What was deleted of a recording."""

    recording: str
    jobs: int = Field(description="With their uploads and results.")
    logged: int = Field(description="Turns and sound files in the prediction log.")
    feedback: int = Field(description="Entries of feedback.")
    under_way: int = Field(description="Analyses that go on now; nothing of them will be kept.")
    copies: int = Field(description="Files that retraining had made of it.")


class Problem(_Out):
    """What was wrong."""

    detail: str = Field(description="In one sentence.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The statuses of an endpoint's refusals, as FastAPI documents them."""
    return {status: {"model": Problem} for status in sorted(statuses)}


class SpeakerIn(BaseModel):
    """A stretch in which somebody speaks; stretches may overlap."""

    start: Time
    end: Time
    speaker: Name


ALIGN_EXAMPLE = """
{"words": {"segments": [{"start": 0.4, "end": 2.1, "words": [
   {"word": "Hello,", "start": 0.4, "end": 0.8, "score": 0.98},
   {"word": "who", "start": 0.8, "end": 1.1},
   {"word": "is", "start": 1.6, "end": 1.7},
   {"word": "it?", "start": 1.7, "end": 2.1}]}]},
 "speakers": [{"start": 0.3, "end": 1.2, "speaker": "A"},
              {"start": 1.5, "end": 2.2, "speaker": "B"}],
 "session_id": "call"}
"""


class AlignIn(BaseModel):
    """Words and speaker segments of one recording."""

    words: Transcript
    speakers: Annotated[list[SpeakerIn], Field(fail_fast=True)] | str = Field(
        description="Segments, or the text of an RTTM file of one recording."
    )
    session_id: Name | None = Field(
        None, description="The recording's name; by default the RTTM's, or “recording”."
    )
    max_pause: Pause = Field(1.5, description=PAUSE)
    method: Method = Field(
        "overlap",
        description="“overlap” looks at each word alone; “evidence” at sentences, pauses and"
        " neighbouring words as well, and says how sure it is.",
    )
    model_config = ConfigDict(json_schema_extra={"examples": [json.loads(ALIGN_EXAMPLE)]})
