"""Recordings that the operator keeps: FLAC files named by recording and request."""

import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from components.base import Location, Url, atomic_path, files_in, folders_in
from components.conversation import SAMPLE_RATE

_DAY = "day=%Y-%m-%d"


def audio_path(folder: Location, recording: str, request_id: str, at: datetime) -> Location:
    """Where the sound of a request lies in a log's folder, if it was kept."""
    return folder / "audio" / at.strftime(_DAY) / f"{recording}.{request_id}.flac"


def kept_files(
    folder: Location, starts: str = "", before: datetime | None = None
) -> Iterator[Location]:
    """The sound files of a log.

    Args:
        starts: how their names begin: with a recording's name, say.
        before: only those of days that had ended by then.

    Raises:
        Unavailable: the object store does not answer.
    """
    audio = folder / "audio"
    if isinstance(audio, Path) and not audio.is_dir():
        return
    for day in (folder for folder in folders_in(audio) if folder.name.startswith("day=")):
        end = datetime.strptime(day.name, _DAY).replace(tzinfo=UTC) + timedelta(days=1)
        if before is None or end <= before:
            files = files_in(day, starts)
            yield from (f for f in files if f.suffix == ".flac" and not f.name.startswith("."))


def audio_of(folder: Location, recording: str) -> list[Location]:
    """The files with a recording's sound: one for each request that sent it."""
    return list(kept_files(folder, f"{recording}."))


def keep_audio(path: Location, audio: np.ndarray) -> None:
    """Write a recording, whole or not at all.

    Args:
        audio: float32 [samples], mono 16 kHz.

    Raises:
        OSError: it cannot be written (a full disk, say).
        InputError: there can be no folder around it, or no such bucket.
        Unavailable: the object store does not take it.
    """
    import soundfile

    if isinstance(path, Url):
        with tempfile.TemporaryDirectory(prefix="moodline-sound-") as name:
            keep_audio(Path(name, path.name), audio)
            path.put(Path(name, path.name))
        return
    with atomic_path(path) as temporary:
        try:
            soundfile.write(temporary, np.clip(audio, -1, 1), SAMPLE_RATE, subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise OSError(f"{path}: the sound cannot be written: {error}") from error


def kept_audio(folder: Location, row: Mapping[str, Any]) -> Location | None:
    """The sound that belongs to a row of the log or an entry of feedback, if it is still there."""
    path = audio_path(folder, row["recording"], row["request_id"], row["time"])
    return path if path.is_file() else None
