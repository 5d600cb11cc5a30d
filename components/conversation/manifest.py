"""A corpus on disk: `manifest.jsonl`, one recording a line, and a SegLST reference for each.

    {"recording": "call-17", "audio": "audio/call-17.flac", "reference": "reference/call-17.json",
     "fold": "week-3", "scripted": false, "customer": "acme"}

Other columns (`customer`) are kept where they are text, numbers, or true and false. Paths are
absolute or relative to the manifest. A reference's entries carry `utterance_id`, `emotion` and,
where known, `sex` ("F" or "M").
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import starmap
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, field_validator

from components.base.errors import InputError
from components.base.files import atomic_path, link_or_copy
from components.base.reading import Name, Number, parse_json, read_text, validate
from components.base.scratch import at_hand
from components.base.storage import Location, Url, beside
from components.conversation.seglst import read_segments, turn_entry
from components.conversation.types import Recording, Utterance

NAME = "manifest.jsonl"

AT_ONCE = 16
"""References that are fetched from an object store at the same time."""

FEEDBACK = "feedback"
"""The fold of recordings that came back from traffic: only ever trained on."""


SOURCES = "sources.json"
"""The file beside the manifest of what came back from traffic: who gave each label, and the log's
name of each recording. {"feedback-…": {"recording": "…", "labels": {"<utterance id>": "web-team"}}}
"""


class _Row(BaseModel):
    model_config = ConfigDict(extra="allow")

    recording: str
    audio: str
    reference: str
    fold: str
    scripted: Annotated[bool, Strict()] | None = None

    @field_validator("recording")
    @classmethod
    def _is_one_word(cls, name: str) -> str:
        if len(name.split()) != 1 or "/" in name:
            use = "it names files, and stands in RTTM"
            raise ValueError(f"the name {name!r} must be one word without “/”: {use}")
        return name

    def columns(self) -> tuple[tuple[str, str], ...]:
        """The other columns, values as JSON writes them."""
        others = (self.model_extra or {}).items()
        return tuple(
            (name, value if isinstance(value, str) else json.dumps(value))
            for name, value in others
            if isinstance(value, str | int | float)
        )


class _ReferenceEntry(BaseModel):
    id: Annotated[Name | None, Field(alias="utterance_id")] = None
    recording: Annotated[Name, Field(alias="session_id")]
    start: Annotated[Number, Field(alias="start_time", ge=0)]
    end: Annotated[Number, Field(alias="end_time")]
    speaker: Name
    sex: Literal["F", "M"] | None = None
    text: Annotated[str, Field(alias="words")]
    emotion: str


def read_manifest(path: Location) -> list[Recording]:
    """Read a corpus from its manifest.

    Args:
        path: the manifest, or the folder that it lies in as `manifest.jsonl`.

    Raises:
        InputError: a file or key that is missing, a recording or utterance named twice, a time
            that runs backwards; with the file and line. (An object with sound that is missing is
            found when it is read.)
        Unavailable: the object store does not answer.
    """
    path = path / NAME if path.suffix != ".jsonl" and path.is_dir() else path
    rows: dict[str, tuple[_Row, Location, Location]] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        location = f"{path}: line {number}"
        row = validate(_Row, parse_json(line, location), location)
        audio, reference = (beside(path.parent, name) for name in (row.audio, row.reference))
        if row.recording in rows:
            raise InputError(f"{location}: recording {row.recording} is named twice")
        if isinstance(audio, Path) and not audio.is_file():
            raise InputError(f"{location}: {row.audio}: no such audio file")
        rows[row.recording] = row, audio, reference
    if not rows:
        raise InputError(f"{path}: names no recording")
    recordings: list[Recording] = []
    references: dict[str, Location] = {}
    for (row, audio, reference), utterances in zip(
        rows.values(), _all_utterances(rows), strict=True
    ):
        for utterance in utterances:
            if other := references.get(utterance.id):
                also = "" if other == reference else f", also in {other}"
                raise InputError(f"{reference}: utterance {utterance.id} is named twice{also}")
            references[utterance.id] = reference
        columns = row.columns()
        recordings.append(
            Recording(row.recording, audio.resolve(), row.fold, row.scripted, utterances, columns)
        )
    return recordings


def _all_utterances(
    rows: Mapping[str, tuple[_Row, Location, Location]],
) -> Iterator[tuple[Utterance, ...]]:
    """The utterances of each recording."""
    pairs = [(reference, name) for name, (_, _, reference) in rows.items()]
    if not any(isinstance(reference, Url) for reference, _ in pairs):
        yield from starmap(_utterances, pairs)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            yield from pool.map(_utterances, *zip(*pairs, strict=True))
        finally:
            pool.shutdown(cancel_futures=True)


def _utterances(path: Location, recording: str) -> tuple[Utterance, ...]:
    utterances = []
    for number, content in enumerate(read_segments(path), start=1):
        location = f"{path}: utterance {number}"
        entry = validate(_ReferenceEntry, content, location)
        if entry.recording != recording:
            raise InputError(f"{location}: is of {entry.recording}, not of {recording}")
        entry.id = entry.id or f"{recording}_{number:04d}"
        try:
            utterances.append(Utterance(**dict(entry)))
        except ValueError as error:
            raise InputError(f"{location}: {error}") from None
    return tuple(sorted(utterances, key=lambda u: (u.start, u.end)))


def write_manifest(
    folder: Path, recordings: Iterable[Recording], *, take_audio: bool = False
) -> None:
    """Write a corpus as a manifest and references into `folder`, whole or not at all.

    The audio stays where it is and is named by its absolute path or URL, unless `take_audio`: then
    it is linked or copied into the folder, which needs nothing else from then on.
    """
    with atomic_path(folder) as temporary:
        (temporary / "reference").mkdir(parents=True)
        lines = []
        for recording in recordings:
            reference = f"reference/{recording.name}.json"
            audio = str(recording.audio.resolve())
            if take_audio:
                audio = f"audio/{recording.name}{recording.audio.suffix}"
                (temporary / "audio").mkdir(exist_ok=True)
                with at_hand(recording.audio) as file:
                    copy = shutil.copyfile if isinstance(recording.audio, Url) else link_or_copy
                    copy(file, temporary / audio)
            row = {"recording": recording.name, "audio": audio, "reference": reference}
            others = {"fold": recording.fold, "scripted": recording.scripted}
            row_and_more = {**dict(recording.columns), **row, **others}
            lines.append(json.dumps(row_and_more, ensure_ascii=False))
            entries = [_entry(utterance) for utterance in recording.utterances]
            text = json.dumps(entries, ensure_ascii=False, indent=1)
            (temporary / reference).write_text(text, encoding="utf-8")
        (temporary / NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _entry(utterance: Utterance) -> dict[str, Any]:
    entry = turn_entry(utterance.as_turn()) | {"utterance_id": utterance.id}
    return entry | ({"sex": utterance.sex} if utterance.sex else {})
