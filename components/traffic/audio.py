"""Recordings that the operator keeps: FLAC files named by recording and request."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from components.base import atomic_path
from components.conversation import SAMPLE_RATE


def audio_path(folder: Path, recording: str, request_id: str, at: datetime) -> Path:
    """Where the sound of a request lies in a log's folder, if it was kept."""
    return folder / "audio" / f"day={at:%Y-%m-%d}" / f"{recording}.{request_id}.flac"


def audio_of(folder: Path, recording: str) -> list[Path]:
    """The files with a recording's sound: one for each request that sent it."""
    return list((folder / "audio").glob(f"day=*/{recording}.*"))


def keep_audio(path: Path, audio: np.ndarray) -> None:
    """Write a recording, whole or not at all.

    Args:
        audio: float32 [samples], mono 16 kHz.

    Raises:
        OSError: it cannot be written (a full disk, say).
        InputError: there can be no folder around it.
    """
    import soundfile

    with atomic_path(path) as temporary:
        try:
            soundfile.write(temporary, np.clip(audio, -1, 1), SAMPLE_RATE, subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise OSError(f"{path}: the sound cannot be written: {error}") from error


def kept_audio(folder: Path, row: Mapping[str, Any]) -> Path | None:
    """The sound that belongs to a row of the log or an entry of feedback, if it is still there."""
    path = audio_path(folder, row["recording"], row["request_id"], row["time"])
    return path if path.is_file() else None
