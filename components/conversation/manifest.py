"""A corpus on disk: `manifest.jsonl`, one recording a line, and a SegLST reference for each.

    {"recording": "call-17", "audio": "audio/call-17.flac", "reference": "reference/call-17.json",
     "fold": "week-3", "scripted": false, "customer": "acme"}

Other columns (`customer`) are kept where they are text, numbers, or true and false. Paths are
absolute or relative to the manifest. A reference's entries carry `utterance_id`, `emotion` and,
where known, `sex` ("F" or "M").
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, field_validator

from components.base.errors import InputError
from components.base.files import atomic_path, link_or_copy
from components.base.reading import Name, Number, parse_json, read_text, validate
from components.conversation.seglst import read_segments, turn_entry
from components.conversation.types import Recording, Utterance

NAME = "manifest.jsonl"

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


def read_manifest(path: Path) -> list[Recording]:
    """Read a corpus from its manifest.

    Args:
        path: the manifest, or the folder that it lies in as `manifest.jsonl`.

    Raises:
        InputError: a file or key that is missing, a recording or utterance named twice, a time
            that runs backwards; with the file and line.
    """
    path = Path(path)
    path = path / NAME if path.is_dir() else path
    recordings: dict[str, Recording] = {}
    references: dict[str, Path] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        location = f"{path}: line {number}"
        row = validate(_Row, parse_json(line, location), location)
        audio, reference = path.parent / row.audio, path.parent / row.reference
        if row.recording in recordings:
            raise InputError(f"{location}: recording {row.recording} is named twice")
        if not audio.is_file():
            raise InputError(f"{location}: {row.audio}: no such audio file")
        utterances = _utterances(reference, row.recording)
        for utterance in utterances:
            if other := references.get(utterance.id):
                also = "" if other == reference else f", also in {other}"
                raise InputError(f"{reference}: utterance {utterance.id} is named twice{also}")
            references[utterance.id] = reference
        recordings[row.recording] = Recording(
            row.recording, audio.resolve(), row.fold, row.scripted, utterances, row.columns()
        )
    if not recordings:
        raise InputError(f"{path}: names no recording")
    return list(recordings.values())


def _utterances(path: Path, recording: str) -> tuple[Utterance, ...]:
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

    The audio stays where it is and is named by its absolute path, unless `take_audio`: then it is
    linked or copied into the folder, which needs nothing else from then on.
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
                link_or_copy(recording.audio, temporary / audio)
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
