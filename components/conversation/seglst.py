"""SegLST JSON: turns, as meeteval reads them, with the emotions as further keys."""

import json
from collections.abc import Collection, Iterable, Iterator
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
from components.conversation.documents import TURNS, read_documents
from components.conversation.speakers import parse_rttm
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
    speaker_confidence: Confidence = None
    uncertain: Annotated[bool, Strict()] | None = None


def read_segments(path: Location) -> list[Any]:
    """Read the entries of a SegLST file, of whatever kind each is.

    Raises:
        InputError: no such file, not JSON, or not a list.
    """
    return parse_segments(read_text(path), str(path))


def parse_segments(text: str, location: str) -> list[Any]:
    """As `read_segments`, from its text."""
    if not text.strip():
        raise InputError(f"{location}: is empty; SegLST without segments is []")
    data = parse_json(text, location)
    if not isinstance(data, list):
        raise InputError(f"{location}: is not SegLST, a JSON list of segments")
    return data


def read_turns(path: Path) -> list[Turn]:
    """Read turns; unknown keys are passed over.

    Raises:
        InputError: as `read_segments`, or an entry that lacks a key or has a bad time.
    """
    return parse_turns(read_text(path), str(path))


def parse_turns(text: str, location: str) -> list[Turn]:
    """As `read_turns`, from its text."""
    return [
        turn_from(entry, f"{location}: turn {number}")
        for number, entry in enumerate(parse_segments(text, location), start=1)
    ]


def read_turns_of(path: Path, recordings: Collection[str]) -> Iterator[tuple[str, list[Turn]]]:
    """Read the turns of some recordings, one recording after the other.

    Args:
        path: one file with documents of the kind `TURNS`, whose order is kept; or a folder of
            `<recording>.json`.

    Raises:
        InputError: a recording has none, holds turns of another one, or as `read_turns`.
    """
    missing = set(recordings)
    if path.is_dir():
        files = ((name, path / f"{name}.json") for name in recordings)
        texts = ((name, read_text(file), str(file)) for name, file in files)
    else:
        documents = read_documents(path, TURNS, missing.copy())
        texts = ((name, text, f"{path}: {name}") for name, text in documents)
    for name, text, location in texts:
        turns = parse_turns(text, location)
        other = next((turn for turn in turns if turn.session_id != name), None)
        if other is not None:
            raise InputError(f"{location}: holds a turn of recording {other.session_id}")
        missing.discard(name)
        yield name, turns
    if missing:
        raise InputError(f"{path}: has no turns of {min(missing)}; align it first")


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
        temporary.write_text(turns_text(turns), encoding="utf-8")


def turns_text(turns: Iterable[Turn]) -> str:
    """Turns as SegLST."""
    return json.dumps([turn_entry(turn) for turn in turns], ensure_ascii=False, indent=1)


def turns_from_rttm(path: Path) -> list[Turn]:
    """Read an RTTM file as turns without words or emotions, for scores that need neither.

    Raises:
        InputError: as `read_rttm`.
    """
    return parse_turns_from_rttm(read_text(path), str(path))


def parse_turns_from_rttm(text: str, location: str) -> list[Turn]:
    """As `turns_from_rttm`, from its text."""
    return [
        Turn(recording, segment.start, segment.end, segment.speaker, words="")
        for recording, segments in parse_rttm(text, location).items()
        for segment in segments
    ]
