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

from components.conversation.errors import InputError
from components.conversation.files import atomic_path
from components.conversation.seglst import read_segments, turn_entry
from components.conversation.types import Recording, Utterance

NAME = "manifest.jsonl"

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
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    recordings: dict[str, Recording] = {}
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}: line {number}"
        try:
            row = json.loads(line)
            name, audio, reference = row["recording"], row["audio"], row["reference"]
            fold, scripted = str(row["fold"]), row.get("scripted")
        except json.JSONDecodeError as error:
            raise InputError(f"{place}: is not JSON: {error}") from None
        except (KeyError, TypeError) as error:
            raise InputError(f"{place}: lacks {error}") from None
        if name in recordings:
            raise InputError(f"{place}: recording {name} is named twice")
        if not (path.parent / audio).is_file():
            raise InputError(f"{place}: {audio}: no such audio file")
        utterances = _utterances(path.parent / reference, name)
        for utterance in utterances:
            if utterance.id in seen:
                raise InputError(
                    f"{path.parent / reference}: utterance {utterance.id} is named twice"
                )
            seen.add(utterance.id)
        recordings[name] = Recording(
            name, (path.parent / audio).resolve(), fold, scripted, utterances
        )
    if not recordings:
        raise InputError(f"{path}: names no recording")
    return list(recordings.values())


def _utterances(path: Path, recording: str) -> tuple[Utterance, ...]:
    utterances = []
    for number, entry in enumerate(read_segments(path), start=1):
        try:
            if entry["session_id"] != recording:
                raise ValueError(f"is of {entry['session_id']}, not of {recording}")
            utterances.append(
                Utterance(
                    str(entry.get("utterance_id", f"{recording}_{number:04d}")),
                    recording,
                    float(entry["start_time"]),
                    float(entry["end_time"]),
                    str(entry["speaker"]),
                    entry.get("sex"),
                    str(entry["words"]),
                    str(entry["emotion"]),
                )
            )
        except KeyError as error:
            raise InputError(f"{path}: utterance {number}: lacks {error}") from None
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: utterance {number}: {error}") from None
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
