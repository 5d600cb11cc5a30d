"""SegLST JSON: turns, as meeteval reads them, with the emotions as further keys."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, Field, Strict

from components.base import (
    InputError,
    Location,
    Name,
    Number,
    atomic_path,
    parse_json,
    read_text,
    validate,
)
from components.conversation.speakers import read_rttm
from components.conversation.types import Turn

Confidence = Annotated[float, Strict()] | None


class SegLstTurn(BaseModel):
    """A SegLST entry; keys that it has beside these are passed over."""

    session_id: Annotated[Name, AfterValidator(partial(normalize, "NFC"))]
    start: Annotated[Number, Field(alias="start_time")]
    end: Annotated[Number, Field(alias="end_time")]
    speaker: Name
    words: str = ""
    emotion: str | None = None
    confidence: Confidence = None
    probabilities: dict[str, Annotated[float, Strict()]] | None = None
    asr_confidence: Confidence = None


def read_segments(path: Location) -> list[Any]:
    """Read the entries of a SegLST file, of whatever kind each is.

    Raises:
        InputError: no such file, not JSON, or not a list.
    """
    text = read_text(path)
    if not text.strip():
        raise InputError(f"{path}: is empty; SegLST without segments is []")
    data = parse_json(text, str(path))
    if not isinstance(data, list):
        raise InputError(f"{path}: is not SegLST, a JSON list of segments")
    return data


def read_turns(path: Path) -> list[Turn]:
    """Read turns; unknown keys are passed over.

    Raises:
        InputError: as `read_segments`, or an entry that lacks a key or has a bad time.
    """
    return [
        turn_from(entry, f"{path}: turn {number}")
        for number, entry in enumerate(read_segments(path), start=1)
    ]


def turn_from(entry: Any, location: str) -> Turn:
    """A SegLST entry as a turn; an error names `location`.

    Raises:
        InputError: a key is missing, or a value is not what it should be.
    """
    valid = validate(SegLstTurn, entry, location)
    try:
        return Turn(**dict(valid))
    except ValueError as error:
        raise InputError(f"{location}: {error}") from None


def turn_entry(turn: Turn) -> dict[str, Any]:
    """A turn as a SegLST entry, without the keys it has no value for."""
    keys = {"start": "start_time", "end": "end_time"}
    known = {name: value for name, value in asdict(turn).items() if value is not None}
    return {keys.get(name, name): value for name, value in known.items()}


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
        Turn(recording, segment.start, segment.end, segment.speaker, words="")
        for recording, segments in read_rttm(path).items()
        for segment in segments
    ]
