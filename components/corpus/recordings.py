"""A folder of recordings that nobody labelled."""

from components.base import Cache, InputError, Location, all_files, located
from components.conversation import (
    AUDIO_SUFFIX,
    Recording,
    audio_duration,
    check_channels,
    recording_name,
)


def recording_files(folder: Location | str) -> tuple[list[Location], list[Location]]:
    """The sound files (and films) in a folder and the folders in it, and all other files.

    Hidden files, as macOS leaves them beside each file (`._call.mp3`), are among the others.

    Raises:
        InputError: no such folder.
    """
    taken, left_out = _named_files(located(folder))
    return [path for path, _ in taken], left_out


def _named_files(
    folder: Location,
) -> tuple[list[tuple[Location, tuple[str, ...]]], list[Location]]:
    """The sound files, each with the parts of its path in the folder, and all other files."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    taken, left_out = [], []
    for path, parts in all_files(folder):
        hidden = any(part.startswith(".") for part in parts)
        if hidden or not AUDIO_SUFFIX.search(path.name):
            left_out.append(path)
        else:
            taken.append((path, parts))
    return taken, left_out


def read_recordings(
    folder: Location | str,
    cache: Cache | None = None,
    left_out: list[str] | None = None,
    *,
    by_channel: bool = False,
) -> list[Recording]:
    """The recordings in a folder and the folders in it, each named by its path in there.

    A file that cannot be read is left out, so that one of a thousand does not stop the others.

    Args:
        folder: of the recordings, a path or an URL.
        cache: keeps how long recordings are.
        left_out: gets a line on each file that is left out, which says why.
        by_channel: leave out those that have no channel for each speaker, too.

    Raises:
        InputError: no such folder, none in it that can be read, or two of one name.
        Unavailable: the object store does not answer.
    """
    folder = located(folder)
    recordings: dict[str, Recording] = {}
    left_out = [] if left_out is None else left_out
    for path, parts in _named_files(folder)[0]:
        try:
            audio_duration(path, cache)
            if by_channel:
                check_channels(path)
        except InputError as error:
            left_out.append(str(error))
            continue
        name = "--".join(map(recording_name, parts))
        if name in recordings:
            raise InputError(f"{path} and {recordings[name].audio}: both would be named {name}")
        recordings[name] = Recording(name, path.resolve(), "", None, ())
    if not recordings and left_out:
        raise InputError(f"{folder}: holds no recording that can be read; {left_out[0]}")
    if not recordings:
        raise InputError(f"{folder}: holds no recordings (WAV, FLAC, MP3, M4A, WebM, MP4 …)")
    return list(recordings.values())
