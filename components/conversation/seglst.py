"""SegLST JSON: turns, as meeteval reads them, with the emotions as further keys."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from components.base.files import atomic_path
from components.base.reading import number, parse_json, read_text
from components.conversation.speakers import read_rttm
from components.conversation.types import Turn

OPTIONAL = ("emotion", "confidence", "probabilities", "asr_confidence")


def read_segments(path: Path) -> list[dict[str, Any]]:
    """Read a SegLST file's entries as they are.

    Raises:
        InputError: no such file, not JSON, or not a list of objects.
    """
    text = read_text(path)
    if not text.strip():
        raise InputError(f"{path}: is empty; SegLST without segments is []")
    data = parse_json(text, str(path))
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise InputError(f"{path}: is not SegLST, a JSON list of segments")
    return data


def read_turns(path: Path) -> list[Turn]:
    """Read turns; unknown keys are passed over.

    Raises:
        InputError: as `read_segments`, or an entry that lacks a key or has a bad time.
    """
    turns = []
    for place, entry in enumerate(read_segments(path), start=1):
        try:
            turns.append(turn_from(entry))
        except KeyError as error:
            raise InputError(f"{path}: turn {place}: lacks {error}") from None
        except ValueError as error:
            raise InputError(f"{path}: turn {place}: {error}") from None
    return turns


def turn_from(entry: dict[str, Any]) -> Turn:
    """A SegLST entry as a turn.

    Raises:
        KeyError: a key is missing.
        ValueError: a value is not what it should be.
    """
    check_texts(entry)
    for key in ("confidence", "asr_confidence"):
        if entry.get(key) is not None and not _is_number(entry[key]):
            raise ValueError(f"{key!r} is {entry[key]!r}, not a number")
    shares = entry.get("probabilities")
    if shares is not None and not (
        isinstance(shares, dict) and all(map(_is_number, shares.values()))
    ):
        raise ValueError(f"'probabilities' is {shares!r}, not a number for each emotion")
    return Turn(
        str(entry["session_id"]),
        number(entry["start_time"], "'start_time'"),
        number(entry["end_time"], "'end_time'"),
        str(entry["speaker"]),
        entry.get("words", ""),
        **{key: entry[key] for key in OPTIONAL if entry.get(key) is not None},
    )


def check_texts(entry: dict[str, Any]) -> None:
    """Refuse a SegLST entry whose words or emotion are no text, or that has a nameless speaker.

    Raises:
        ValueError: it is one.
    """
    if not isinstance(entry.get("words", ""), str):
        raise ValueError(f"'words' is {entry['words']!r}, not a text")
    if not isinstance(entry.get("emotion"), (str, type(None))):
        raise ValueError(f"'emotion' is {entry['emotion']!r}, not a text")
    for key in ("session_id", "speaker"):
        name = entry.get(key, key)
        if isinstance(name, bool) or not isinstance(name, (str, int)) or not str(name).strip():
            raise ValueError(f"{key!r} is {name!r}, not a name")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def turn_entry(turn: Turn) -> dict[str, Any]:
    """A turn as a SegLST entry, without the keys it has no value for."""
    entry: dict[str, Any] = {
        "session_id": turn.session_id,
        "start_time": turn.start,
        "end_time": turn.end,
        "speaker": turn.speaker,
        "words": turn.words,
    }
    if turn.emotion is not None:
        entry["emotion"] = turn.emotion
    if turn.confidence is not None:
        entry["confidence"] = turn.confidence
    if turn.probabilities is not None:
        entry["probabilities"] = dict(turn.probabilities)
    if turn.asr_confidence is not None:
        entry["asr_confidence"] = turn.asr_confidence
    return entry


def write_turns(path: Path, turns: Iterable[Turn]) -> None:
    """Write turns as SegLST, whole or not at all."""
    with atomic_path(path) as temporary:
        text = json.dumps([turn_entry(turn) for turn in turns], ensure_ascii=False, indent=1)
        temporary.write_text(text, encoding="utf-8")


def turns_from_rttm(path: Path) -> list[Turn]:
    """Read an RTTM file as turns without words or emotions, for scores that need neither.

    Raises:
        InputError: as `read_rttm`.
    """
    return [
        Turn(recording, segment.start, segment.end, segment.speaker, "")
        for recording, segments in read_rttm(path).items()
        for segment in segments
    ]
