"""A corpus on disk: `manifest.jsonl`, one recording a line, and a SegLST reference for each.

    {"recording": "call-17", "audio": "audio/call-17.flac", "reference": "reference/call-17.json",
     "fold": "week-3", "scripted": false, "customer": "acme"}

Other columns (`customer`) are kept where they are text, numbers, or true and false. Of these,
`set`, `language` and `licence` are known to reports. Paths are absolute or relative to the
manifest. A reference's entries carry `utterance_id`, `emotion` and, where known, `sex` ("F" or
"M"). Instead of a file for each recording, all rows may name one Parquet file
(`references.parquet`) with documents of the kind `REFERENCE`; see `documents`. A line of a clip
holds its entries itself, so that a hundred thousand clips need no file each:

    {"recording": "1001_DFA_ANG_XX", "audio": "AudioWAV/1001_DFA_ANG_XX.wav", "fold": "fold_1",
     "utterances": [{"start_time": 0.0, "end_time": 2.3, "speaker": "1001", "sex": "M",
                     "words": "Don't forget a jacket.", "emotion": "angry"}]}
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, field_validator, model_validator

from components.base.errors import InputError
from components.base.files import atomic_path, link_or_copy
from components.base.reading import Name, Number, parse_json, read_text, validate
from components.base.scratch import at_hand
from components.base.storage import Location, Url, beside
from components.conversation.documents import REFERENCE, Document, read_documents, write_documents
from components.conversation.seglst import parse_segments, turn_entry
from components.conversation.types import Recording, Utterance

NAME = "manifest.jsonl"

PACKED = "references.parquet"
"""The file beside the manifest with all references, where each has none of its own."""

AT_ONCE = 16
"""References that are fetched from an object store at the same time."""

KNOWN_COLUMNS = ("set", "language", "licence")
"""Columns that reports cut by, where a manifest has them: a text, "unknown" if need be."""

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
    reference: str | None = None
    utterances: list[dict[str, Any]] | None = None
    fold: str
    scripted: Annotated[bool, Strict()] | None = None

    @field_validator("recording")
    @classmethod
    def _is_one_word(cls, name: str) -> str:
        if len(name.split()) != 1 or "/" in name:
            use = "it names files, and stands in RTTM"
            raise ValueError(f"the name {name!r} must be one word without “/”: {use}")
        return name

    @model_validator(mode="after")
    def _has_one_reference(self) -> Self:
        if (self.reference is None) == (self.utterances is None):
            both = "has both" if self.reference else "lacks"
            raise ValueError(f"{both} 'reference' and 'utterances': it needs one of them")
        for name in KNOWN_COLUMNS:
            value = (self.model_extra or {}).get(name, "unknown")
            if not isinstance(value, str) or not value.strip():
                raise ValueError(f"{name!r} is {value!r}; where it is not known, write “unknown”")
        return self

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
    rows: dict[str, tuple[_Row, Location, Location | str]] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        location = f"{path}: line {number}"
        row = validate(_Row, parse_json(line, location), location)
        audio = beside(path.parent, row.audio)
        reference = location if row.reference is None else beside(path.parent, row.reference)
        if row.recording in rows:
            raise InputError(f"{location}: recording {row.recording} is named twice")
        if isinstance(audio, Path) and not audio.is_file():
            raise InputError(f"{location}: {row.audio}: no such audio file")
        rows[row.recording] = row, audio, reference
    if not rows:
        raise InputError(f"{path}: names no recording")
    recordings: list[Recording] = []
    references: dict[str, str] = {}
    for (row, audio, _), (location, utterances) in zip(
        rows.values(), _all_utterances(rows), strict=True
    ):
        for utterance in utterances:
            if other := references.get(utterance.id):
                also = "" if other == location else f", also in {other}"
                raise InputError(f"{location}: utterance {utterance.id} is named twice{also}")
            references[utterance.id] = location
        columns = row.columns()
        recordings.append(
            Recording(row.recording, audio.resolve(), row.fold, row.scripted, utterances, columns)
        )
    return recordings


Labelled = tuple[str, tuple[Utterance, ...]]
"""Where a reference stands, for messages, and its utterances."""


def _all_utterances(
    rows: Mapping[str, tuple[_Row, Location, Location | str]],
) -> Iterator[Labelled]:
    """The reference of each recording: at a place, or in the line that a text names."""
    places: dict[str, Location] = {}
    packed: dict[str, Labelled] = {}
    for name, (row, _, place) in rows.items():
        if isinstance(place, str):
            entries = [{"session_id": name, **entry} for entry in row.utterances or ()]
            packed[name] = place, _utterances(entries, place, name)
        else:
            places[name] = place
    for file in sorted({p for p in places.values() if p.suffix == ".parquet"}, key=str):
        names = {name for name, place in places.items() if place == file}
        with at_hand(file) as path:
            for name, text in read_documents(path, REFERENCE, names):
                location = f"{file}: {name}"
                entries = parse_segments(text, location)
                packed[name] = location, _utterances(entries, location, name)
        if missing := names - packed.keys():
            raise InputError(f"{file}: has no reference of {min(missing)}")

    def one(name: str) -> Labelled:
        if name in packed:
            return packed[name]
        place = places[name]
        entries = parse_segments(read_text(place), str(place))
        return str(place), _utterances(entries, str(place), name)

    if all(isinstance(place, Path) or name in packed for name, place in places.items()):
        yield from map(one, rows)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            yield from pool.map(one, rows)
        finally:
            pool.shutdown(cancel_futures=True)


def _utterances(entries: Iterable[Any], place: str, recording: str) -> tuple[Utterance, ...]:
    utterances = []
    for number, content in enumerate(entries, start=1):
        location = f"{place}: utterance {number}"
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
    folder: Path, recordings: Iterable[Recording], *, take_audio: bool = False, packed: bool = False
) -> None:
    """Write a corpus as a manifest and references into `folder`, whole or not at all.

    The audio stays where it is and is named by its absolute path or URL, unless `take_audio`: then
    it is linked or copied into the folder, which needs nothing else from then on. People find a
    reference of each recording there, the next step of a pipeline all of them `packed` in one file.
    """
    with atomic_path(folder) as temporary:
        (temporary / "reference").mkdir(parents=True)
        lines: list[str] = []
        written = _written(temporary, recordings, lines, take_audio, packed)
        if packed:
            (temporary / "reference").rmdir()
            write_documents(temporary / PACKED, written)
        else:
            for name, _, text in written:
                (temporary / _reference(name)).write_text(text, encoding="utf-8")
        (temporary / NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_clips(path: Path, recordings: Iterable[Recording]) -> int:
    """Write recordings of few utterances as one file, each line with its own, whole or not at all.

    Their audio stays where it is. Its path is relative to the manifest if it lies below the
    manifest's folder or beside it, so that both can be moved together; else it is absolute.

    Args:
        path: the manifest.
        recordings: taken one by one; their audio is on this machine.

    Returns:
        How many recordings it holds.
    """
    home = path.resolve().parent
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for recording in recordings:
            count += 1
            audio = Path(str(recording.audio)).resolve()
            near = audio.is_relative_to(home.parent) and home.parent != home.parent.parent
            row: dict[str, Any] = {
                "recording": recording.name,
                "audio": os.path.relpath(audio, home) if near else str(audio),
                "fold": recording.fold,
                "scripted": recording.scripted,
            }
            entries = [_entry(utterance) for utterance in recording.utterances]
            for entry in entries:
                del entry["session_id"]  # the line's own name
            row = row | dict(recording.columns) | row | {"utterances": entries}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return count


def _written(
    folder: Path, recordings: Iterable[Recording], lines: list[str], take_audio: bool, packed: bool
) -> Iterator[Document]:
    """Each recording's reference; its line is added to the manifest's, its audio taken."""
    for recording in recordings:
        audio = str(recording.audio.resolve())
        if take_audio:
            audio = f"audio/{recording.name}{recording.audio.suffix}"
            (folder / "audio").mkdir(exist_ok=True)
            with at_hand(recording.audio) as file:
                copy = shutil.copyfile if isinstance(recording.audio, Url) else link_or_copy
                copy(file, folder / audio)
        reference = PACKED if packed else _reference(recording.name)
        row = {"recording": recording.name, "audio": audio, "reference": reference}
        others = {"fold": recording.fold, "scripted": recording.scripted}
        row_and_more = {**dict(recording.columns), **row, **others}
        lines.append(json.dumps(row_and_more, ensure_ascii=False))
        entries = [_entry(utterance) for utterance in recording.utterances]
        text = json.dumps(entries, ensure_ascii=False, indent=1)
        yield Document(recording.name, REFERENCE, text)


def _reference(recording: str) -> str:
    return f"reference/{recording}.json"


def _entry(utterance: Utterance) -> dict[str, Any]:
    entry = turn_entry(utterance.as_turn()) | {"utterance_id": utterance.id}
    return entry | ({"sex": utterance.sex} if utterance.sex else {})
