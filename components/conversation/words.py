"""WhisperX's JSON: `segments[].words[]` with `word`, `start`, `end`, `score`, `speaker`."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from components.base.errors import InputError
from components.base.files import atomic_path
from components.base.reading import number, read_json
from components.conversation.types import EARLIEST, AsrSegment, Word

MEASURED = ("start", "end", "score")

T = TypeVar("T", float, float | None)


def read_words(path: Path) -> list[AsrSegment]:
    """Read a transcript as WhisperX writes it.

    Words may lack times, score and speaker. A segment without `words` gets the words of its
    text, without times: nothing that was said is lost.

    Raises:
        InputError: no such file, not JSON, or not of this form.
    """
    return parse_words(read_json(path), str(path))


def parse_words(data: Any, place: str) -> list[AsrSegment]:
    """As `read_words`, from the JSON's content.

    Args:
        data: what the JSON holds.
        place: where it comes from, for messages.
    """
    segments = data.get("segments") if isinstance(data, dict) else data
    if not isinstance(segments, list):
        raise InputError(f"{place}: has no list of “segments”, as WhisperX's JSON has")
    result = []
    for at, segment in enumerate(segments, start=1):
        try:
            result.append(_segment(segment))
        except KeyError as error:
            raise InputError(f"{place}: segment {at}: lacks {error}") from None
        except ValueError as error:
            raise InputError(f"{place}: segment {at}: {error}") from None
    return result


def _segment(data: Any) -> AsrSegment:
    if not isinstance(data, dict):
        raise ValueError(f"is {data!r}, not an object with “start”, “end” and “words”")
    words, text = data.get("words"), data.get("text")
    if words is None:
        spoken = tuple(Word(word, None, None) for word in _text(data, "text").split())
    elif isinstance(words, list):
        spoken = tuple(map(_word, words))
    else:
        raise ValueError(f"'words' is {words!r}, not a list")
    return AsrSegment(
        _in_recording(number(data["start"], "'start'"), "'start'"),
        number(data["end"], "'end'"),
        " ".join(word.text for word in spoken) if text is None else _text(data, "text").strip(),
        spoken,
    )


def _word(data: Any) -> Word:
    if not isinstance(data, dict):
        raise ValueError(f"word {data!r} is not an object with “word”")
    if isinstance(data.get("word"), (int, float)) and not isinstance(data["word"], bool):
        data = data | {"word": str(data["word"])}  # as some writers give numbers
    text = _text(data, "word").strip()
    start, end, score = (_known(data.get(key), f"{key!r} of “{text}”") for key in MEASURED)
    for time in (start, end):
        _in_recording(time, f"“{text}”")
    speaker = data.get("speaker")
    return Word(text, start, end, score, None if speaker is None else str(speaker))


def _text(data: dict[str, Any], key: str) -> str:
    text = data[key]
    if not isinstance(text, str):
        raise ValueError(f"{key!r} is {text!r}, not a text")
    return text


def _known(value: Any, what: str) -> float | None:
    """A number; NaN, as some writers put it for "not known", is None."""
    if value is None:
        return None
    known = number(value, what)
    return known if math.isfinite(known) else None


def _in_recording(time: T, what: str) -> T:
    if time is not None and time < EARLIEST:
        raise ValueError(f"{what} is at {time} s, before the recording")
    return time


def write_words(path: Path, segments: Iterable[AsrSegment], language: str = "en") -> None:
    """Write a transcript as WhisperX does, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(words_text(segments, language), encoding="utf-8")


def words_text(segments: Iterable[AsrSegment], language: str = "en") -> str:
    """A transcript as WhisperX's JSON."""
    data = {
        "segments": [
            {
                "start": segment.start,
                "end": segment.end,
                "text": segment.text,
                "words": [word_entry(word) for word in segment.words],
            }
            for segment in segments
        ],
        "language": language,
    }
    return json.dumps(data, ensure_ascii=False, indent=1)


def word_entry(word: Word) -> dict[str, Any]:
    """A word as WhisperX writes it, without the keys it has no value for."""
    fields = {
        "start": word.start,
        "end": word.end,
        "score": word.score,
        "speaker": word.speaker,
    }
    return {"word": word.text} | {k: v for k, v in fields.items() if v is not None}
