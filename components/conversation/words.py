"""WhisperX's JSON: `segments[].words[]` with `word`, `start`, `end`, `score`, `speaker`."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import BeforeValidator, Field, StringConstraints
from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from components.base import InputError, Number, atomic_path, read_json, validate
from components.base.reading import no_bool
from components.conversation.types import EARLIEST, AsrSegment, Seconds, Word

LATEST: Seconds = 1e7
"""The latest time in a recording: none lasts four months."""


def _known(value: Any) -> Any:
    """NaN, as some writers put it for "not known", is None."""
    return None if isinstance(no_bool(value), float) and not math.isfinite(value) else value


Time = Annotated[Number, Field(ge=EARLIEST, le=LATEST)]
MaybeTime = Annotated[
    Annotated[float, Field(ge=EARLIEST, le=LATEST)] | None, BeforeValidator(_known)
]
MaybeScore = Annotated[float | None, BeforeValidator(_known)]

_WORD_KEYS = ("start", "end", "score", "speaker")

Text = Annotated[str, StringConstraints(strip_whitespace=True), Field(coerce_numbers_to_str=True)]
"""Some writers give numbers. Stripping refuses half of a character, which JSON can escape."""


class WhisperXWord(TypedDict):
    """A word; its times may be unknown."""

    word: Text
    start: NotRequired[MaybeTime]
    end: NotRequired[MaybeTime]
    score: NotRequired[MaybeScore]
    speaker: NotRequired[Text | None]


class WhisperXSegment(TypedDict):
    """A stretch as it was recognised; without `words` those of its `text` are taken."""

    start: Time
    end: Time
    text: NotRequired[Annotated[str, StringConstraints(strip_whitespace=True)] | None]
    words: NotRequired[Annotated[list[WhisperXWord], Field(fail_fast=True)] | None]


class WhisperXTranscript(TypedDict):
    """A transcript, as WhisperX writes it."""

    segments: Annotated[list[WhisperXSegment], Field(fail_fast=True)]


def read_words(path: Path) -> list[AsrSegment]:
    """Read a transcript as WhisperX writes it.

    Words may lack times, score and speaker. A segment without `words` gets the words of its
    text, without times, so no word is lost.

    Raises:
        InputError: no such file, not JSON, or not of this form.
    """
    return parse_words(read_json(path), str(path))


def parse_words(data: Any, location: str) -> list[AsrSegment]:
    """As `read_words`, from the JSON's content: an object with `segments`, or their list.

    >>> words = [{"word": "Hello", "start": 0.2, "end": 0.6}, {"word": "there"}]
    >>> (segment,) = parse_words([{"start": 0, "end": 1, "words": words}], "words.json")
    >>> [(word.text, word.start) for word in segment.words]
    [('Hello', 0.2), ('there', None)]
    >>> parse_words([{"start": 0, "words": words}], "words.json")
    Traceback (most recent call last):
    components.base.errors.InputError: words.json: segment 1: lacks 'end'
    """
    data = {"segments": data} if isinstance(data, list) else data
    return asr_segments(validate(WhisperXTranscript, data, location), location)


def asr_segments(transcript: WhisperXTranscript, location: str) -> list[AsrSegment]:
    """A transcript that `validate` or FastAPI has validated, as segments.

    Raises:
        InputError: a segment has neither words nor text, or something ends before it starts.
    """
    segments = []
    for number, segment in enumerate(transcript["segments"], start=1):
        try:
            segments.append(_segment(segment))
        except ValueError as error:
            raise InputError(f"{location}: segment {number}: {error}") from None
    return segments


def _segment(segment: WhisperXSegment) -> AsrSegment:
    text, entries = segment.get("text"), segment.get("words")
    if entries is not None:
        words = tuple(_word(entry) for entry in entries)
    elif text is not None:
        words = tuple(Word(part, None, None) for part in text.split())
    else:
        raise ValueError("lacks 'text' and 'words'; give one of them")
    text = " ".join(word.text for word in words) if text is None else text
    return AsrSegment(segment["start"], segment["end"], text, words)


def _word(entry: WhisperXWord) -> Word:
    known: dict[str, Any] = {key: value for key, value in entry.items() if key in _WORD_KEYS}
    return Word(entry["word"], **{"start": None, "end": None} | known)


def write_words(path: Path, segments: Iterable[AsrSegment], language: str = "en") -> None:
    """Write a transcript as WhisperX does, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(words_text(segments, language), encoding="utf-8")


def words_text(segments: Iterable[AsrSegment], language: str = "en") -> str:
    """A transcript as WhisperX's JSON."""
    entries = [
        {"start": segment.start, "end": segment.end, "text": segment.text}
        | {"words": [word_entry(word) for word in segment.words]}
        for segment in segments
    ]
    data = {"segments": entries, "language": language}
    return json.dumps(data, ensure_ascii=False, indent=1)


def word_entry(word: Word) -> dict[str, Any]:
    """A word as WhisperX writes it, without the keys it has no value for."""
    values = ((key, getattr(word, key)) for key in _WORD_KEYS)
    return {"word": word.text} | {key: value for key, value in values if value is not None}
