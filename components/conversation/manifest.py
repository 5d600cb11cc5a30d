"""A corpus on disk: `manifest.jsonl`, one recording a line, and a SegLST reference for each.

    {"recording": "call-17", "audio": "audio/call-17.flac", "reference": "reference/call-17.json",
     "fold": "week-3", "scripted": false}

Paths are absolute or relative to the manifest. A reference's entries carry `utterance_id`,
`emotion` and, where known, `sex` ("F" or "M").
"""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from components.base.files import atomic_path
from components.base.reading import number, parse_json, read_text
from components.conversation.seglst import check_texts, read_segments, turn_entry
from components.conversation.types import Recording, Utterance

NAME = "manifest.jsonl"
COLUMNS = ("recording", "audio", "reference", "fold")

FEEDBACK = "feedback"
"""The fold of recordings that came back from traffic: only ever trained on."""


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
    lines = read_text(path).split("\n")
    recordings: dict[str, Recording] = {}
    seen: dict[str, Path] = {}
    for at, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}: line {at}"
        row = _row(place, line)
        name, audio = row["recording"], path.parent / row["audio"]
        if name in recordings:
            raise InputError(f"{place}: recording {name} is named twice")
        if not audio.is_file():
            raise InputError(f"{place}: {row['audio']}: no such audio file")
        reference = path.parent / row["reference"]
        utterances = _utterances(reference, name)
        for utterance in utterances:
            if utterance.id in seen:
                where = "" if seen[utterance.id] == reference else f", also in {seen[utterance.id]}"
                raise InputError(f"{reference}: utterance {utterance.id} is named twice{where}")
            seen[utterance.id] = reference
        recordings[name] = Recording(
            name, audio.resolve(), row["fold"], row.get("scripted"), utterances
        )
    if not recordings:
        raise InputError(f"{path}: names no recording")
    return list(recordings.values())


def _row(place: str, line: str) -> dict[str, Any]:
    """A line of a manifest, all its columns there and of their kind."""
    row = parse_json(line, place)
    if not isinstance(row, dict):
        raise InputError(f"{place}: is no JSON object; one has the columns {', '.join(COLUMNS)}")
    for column in COLUMNS:
        if column not in row:
            raise InputError(f"{place}: lacks {column!r}; a line has {', '.join(COLUMNS)}")
        if not isinstance(row[column], str):
            raise InputError(f"{place}: {column!r} is {row[column]!r}, not a text in quotes")
    if len(row["recording"].split()) != 1 or "/" in row["recording"]:
        raise InputError(
            f"{place}: the recording's name {row['recording']!r} must be one word without “/”: it"
            " names files, and stands in RTTM"
        )
    if row.get("scripted") not in (True, False, None):
        raise InputError(f"{place}: 'scripted' is {row['scripted']!r}, not true, false or null")
    return row


def _utterances(path: Path, recording: str) -> tuple[Utterance, ...]:
    utterances = []
    for place, entry in enumerate(read_segments(path), start=1):
        try:
            if entry["session_id"] != recording:
                raise ValueError(f"is of {entry['session_id']}, not of {recording}")
            check_texts(entry)
            if not isinstance(entry["emotion"], str):
                raise ValueError("'emotion' is null; name one, or leave the utterance out")
            start, end = (number(entry[key], repr(key)) for key in ("start_time", "end_time"))
            if start < 0:
                raise ValueError(f"starts at {entry['start_time']} s, before the recording")
            if entry.get("sex") not in ("F", "M", None):
                raise ValueError(f"'sex' is {entry['sex']!r}, not F or M")
            utterances.append(
                Utterance(
                    str(entry.get("utterance_id", f"{recording}_{place:04d}")),
                    recording,
                    start,
                    end,
                    str(entry["speaker"]),
                    entry.get("sex"),
                    str(entry["words"]),
                    str(entry["emotion"]),
                )
            )
        except KeyError as error:
            raise InputError(f"{path}: utterance {place}: lacks {error}") from None
        except ValueError as error:
            raise InputError(f"{path}: utterance {place}: {error}") from None
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
                _link_or_copy(recording.audio, temporary / audio)
            row = {
                "recording": recording.name,
                "audio": audio,
                "reference": reference,
                "fold": recording.fold,
                "scripted": recording.scripted,
            }
            lines.append(json.dumps(row, ensure_ascii=False))
            entries = [_entry(utterance) for utterance in recording.utterances]
            (temporary / reference).write_text(
                json.dumps(entries, ensure_ascii=False, indent=1), encoding="utf-8"
            )
        (temporary / NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file, where the file system allows it."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _entry(utterance: Utterance) -> dict[str, Any]:
    entry = turn_entry(utterance.as_turn()) | {"utterance_id": utterance.id}
    return entry | ({"sex": utterance.sex} if utterance.sex else {})
