"""Files that are written whole or not at all, and what a full disk looks like."""

import errno
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.base.errors import InputError

STDOUT = Path("/dev/stdout")

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_DISK_FULL_WORDS = (*map(os.strerror, _DISK_FULL), "disk is full")
"""What the system and SQLite say of a full disk, a quota or a limit on a file's size."""

_OPEN_FILES = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))

_STDOUTS = (STDOUT, Path("/dev/fd/1"), Path("/proc/self/fd/1"))


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well.

    Works for a file and for a folder (the block makes either). After a failure nothing is left.

    Args:
        path: where the finished file or folder is to stand; an older one is replaced, a file by
            a file and a folder by a folder. A symbolic link stays, and what it points to is
            replaced; a device or a pipe stays, and what the block made is written into it.

    Yields:
        The temporary path; its folder exists, itself it does not, its suffix is `path`'s.

    Raises:
        InputError: a folder stands where the file is to go, or a file where the folder is, or
            there can be no folder around it.
    """
    path = Path(path)
    if _is_stream(path):
        with tempfile.TemporaryDirectory() as room:
            yield Path(room, path.name)
            _pour(Path(room, path.name), path)
        return
    place = _behind_links(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError, PermissionError) as error:
        raise InputError(f"{path}: cannot be written: {str(error.strerror).lower()}") from None
    temporary = _beside(place, place.suffix)
    try:
        yield temporary
        _check_kind(temporary, path)
        if place.exists():
            shutil.copymode(place, temporary)  # what was private stays so
        if place.is_dir():
            # A folder cannot be renamed over a full one: move the old one aside first.
            aside = _beside(place, ".old")
            place.rename(aside)
            temporary.rename(place)
            shutil.rmtree(aside)
        else:
            temporary.replace(place)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work that is to fill it. Makes nothing.

    Raises:
        InputError: it is a folder, its name is too long, there can be no folder around it, or
            nothing may be written there.
    """
    with _in_words(path):
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file")
        if not _is_stream(path):
            _check_room(path)
        elif _open_file(path) not in _STDOUTS and not os.access(path, os.W_OK):
            raise InputError(f"{path}: cannot be written: permission denied")


def check_new_folder(path: Path) -> None:
    """Refuse a folder that a user named and that holds something already, or cannot be made.

    Raises:
        InputError: it does, it is a file, or as `check_writable`.
    """
    with _in_words(path):
        if path.exists() and not path.is_dir():
            raise InputError(f"{path}: is a file; name a folder")
        if path.is_dir() and any(path.iterdir()):
            raise InputError(f"{path}: is not empty; name a new folder")
        _check_room(path)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {str(error.strerror).lower()}") from None


def _check_room(path: Path) -> None:
    """Try to make a file in the innermost folder around a path that there is."""
    around = next(p for p in _behind_links(path).parents if p.exists())
    tempfile.TemporaryFile(dir=around).close()


def _is_stream(path: Path) -> bool:
    """Whether a path is a device, a pipe or a file that is open already: never to be replaced."""
    if not path.exists() or path.is_dir():
        return False
    return not path.is_file() or _open_file(path) is not None


def _open_file(path: Path) -> Path | None:
    """The name of a file that is open already, where a path is one or leads to one."""
    while path.parent not in _OPEN_FILES:
        if not path.is_symlink():
            return None
        path = Path(os.path.normpath(path.parent / path.readlink()))
    return path


def _pour(made: Path, stream: Path) -> None:
    """Write a finished file into a stream, after what is in it.

    Raises:
        InputError: who reads the stream has gone.
    """
    content = made.read_bytes()
    if _open_file(stream) in _STDOUTS:
        # By its own descriptor: opened anew, it would begin at the start of `>> file` again.
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        try:
            with stream.open("ab") as opened:
                opened.write(content)
        except BrokenPipeError:
            raise InputError(f"{stream}: whoever reads it left before the end") from None


def _behind_links(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:  # links that point to each other
        raise InputError(f"{path}: cannot be written: its symbolic links form a loop") from None


def _beside(place: Path, suffix: str) -> Path:
    """A path in the same folder that nobody uses; a name of full length leaves room for no more."""
    return place.with_name(f".{place.stem[:40]}.{uuid.uuid4().hex[:8]}{suffix}")


def _check_kind(made: Path, path: Path) -> None:
    """Refuse what would put a file in a folder's place, and all that is in it out of the world."""
    if path.is_dir() and not made.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    if path.is_file() and made.is_dir():
        raise InputError(f"{path}: is a file; name a folder")


def is_disk_full(error: BaseException | str) -> bool:
    """Whether a failure means that the disk is full.

    Libraries wrap the system's error in their own, so its words are looked for, too.

    Args:
        error: an exception, or what another process printed of one.
    """
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return True
    return any(words in str(error) for words in _DISK_FULL_WORDS)
