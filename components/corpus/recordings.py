"""A folder of recordings that nobody labelled."""

from pathlib import Path

from components.base import Cache, InputError
from components.conversation import AUDIO_SUFFIX, Recording, audio_duration, recording_name


def recording_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The sound files (and films) in a folder and the folders in it, and all other files.

    Hidden files, as macOS leaves them beside each file (`._call.mp3`), are among the others.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    taken: list[Path] = []
    left_out: list[Path] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        (left_out if hidden or not AUDIO_SUFFIX.search(path.name) else taken).append(path)
    return taken, left_out


def read_recordings(
    folder: Path, cache: Cache | None = None, left_out: list[str] | None = None
) -> list[Recording]:
    """The recordings in a folder and the folders in it, each named by its path in there.

    A file that cannot be read is left out, so that one of a thousand does not stop the others.

    Args:
        folder: of the recordings.
        cache: keeps how long recordings are.
        left_out: gets a line on each file that is left out, which says why.

    Raises:
        InputError: no such folder, none in it that can be read, or two of one name.
    """
    folder = Path(folder)
    recordings: dict[str, Recording] = {}
    left_out = [] if left_out is None else left_out
    for path in recording_files(folder)[0]:
        try:
            audio_duration(path, cache)
        except InputError as error:
            left_out.append(str(error))
            continue
        name = "--".join(map(recording_name, path.relative_to(folder).parts))
        if name in recordings:
            raise InputError(f"{path} and {recordings[name].audio}: both would be named {name}")
        recordings[name] = Recording(name, path.resolve(), "", None, ())
    if not recordings and left_out:
        raise InputError(f"{folder}: holds no recording that can be read; {left_out[0]}")
    if not recordings:
        raise InputError(f"{folder}: holds no recordings (WAV, FLAC, MP3, M4A, WebM, MP4 …)")
    return list(recordings.values())
