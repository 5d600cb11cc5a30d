"""A folder of recordings that nobody labelled."""

from pathlib import Path

from components.base import InputError
from components.conversation import Recording, audio_duration, recording_name

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".mp4", ".webm", ".sph"}


def read_recordings(folder: Path) -> list[Recording]:
    """The recordings in a folder and the folders in it, each named by its path in there.

    Raises:
        InputError: no such folder, none in it, one that is no audio, or two of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    recordings: dict[str, Recording] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        name = "--".join(map(recording_name, path.relative_to(folder).parts))
        if name in recordings:
            raise InputError(f"{path} and {recordings[name].audio}: both would be named {name}")
        audio_duration(path)
        recordings[name] = Recording(name, path.resolve(), "", None, ())
    if not recordings:
        raise InputError(f"{folder}: holds no recordings ({', '.join(sorted(SUFFIXES))})")
    return list(recordings.values())
