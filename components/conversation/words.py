"""WhisperX's JSON: `segments[].words[]` with `word`, `start`, `end`, `score`, `speaker`."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.conversation.errors import InputError
from components.conversation.files import atomic_path
from components.conversation.types import AsrSegment, Word


def read_words(path: Path) -> list[AsrSegment]:
    """Read a transcript as WhisperX writes it.

    Words may lack times, score and speaker. A segment without `words` gets the words of its
    text, without times: nothing that was said is lost.

    Raises:
        InputError: no such file, not JSON, or not of this form.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: is not JSON: {error}") from None
    return parse_words(data, str(path))


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
    for number, segment in enumerate(segments, start=1):
        try:
            result.append(_segment(segment))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{place}: segment {number}: {what}") from None
    return result


def _time(value: Any) -> float | None:
    """A number of seconds; NaN, as some writers put it for "not known", is None."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _segment(data: dict[str, Any]) -> AsrSegment:
    words = data.get("words")
    if words is None:
        spoken = tuple(Word(text, None, None) for text in data["text"].split())
    else:
        spoken = tuple(
            Word(
                str(word["word"]).strip(),
                _time(word.get("start")),
                _time(word.get("end")),
                _time(word.get("score")),
                word.get("speaker"),
            )
            for word in words
        )
    text = data.get("text")
    return AsrSegment(
        float(data["start"]),
        float(data["end"]),
        " ".join(word.text for word in spoken) if text is None else str(text).strip(),
        spoken,
    )


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
