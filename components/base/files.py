"""Files that are written whole or not at all, and what a full disk looks like."""

import contextlib
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
from components.base.migration import migrated

STDOUT = Path("/dev/stdout")

_OPEN_FILES = (Path("/dev"), Path("/dev/fd"))

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_DISK_FULL_WORDS = (*map(os.strerror, _DISK_FULL), "disk is full")
"""What the system and SQLite say of a full disk, a quota or a limit on a file's size."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well.

    Works for a file and for a folder (the block makes either). After a failure nothing is left.

    Args:
        path: where the finished file or folder is to stand; an older one is replaced, a file by
            a file and a folder by a folder. A symbolic link stays, and its target is replaced.
            A device or a named pipe stays, and the file is written into it.

    Yields:
        The temporary path. Its folder exists, the path itself does not, its suffix is `path`'s.

    Raises:
        InputError: a folder stands where the file is to go, or a file where the folder is; or the
            folder around it cannot be made.
    """
    path = Path(path)
    if _is_stream(path):
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, path.name)
            _append(Path(folder, path.name).read_bytes(), path)
        return
    target = path.resolve()
    with _as_input_error(path):
        target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target, target.suffix)
    try:
        yield temporary
        if path.exists() and path.is_dir() != temporary.is_dir():
            kind, other = ("folder", "file") if path.is_dir() else ("file", "folder")
            raise InputError(f"{path}: is a {kind}; name a {other}")
        if target.exists():
            shutil.copymode(target, temporary)  # a private file stays private
        if target.is_dir():
            # A folder cannot be renamed over a full one: move the old one aside first.
            old = _beside(target, ".old")
            target.rename(old)
            temporary.rename(target)
            shutil.rmtree(old)
        else:
            temporary.replace(target)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work that is to fill it. Makes nothing.

    Raises:
        InputError: it is a folder, its name is too long, the folder around it cannot be made, or
            that folder is read-only.
    """
    with _as_input_error(path):
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file")
        if not _is_stream(path):
            _check_parent(path)


def check_new_folder(path: Path) -> None:
    """Refuse a folder that a user named and that holds something already, or cannot be made.

    Raises:
        InputError: it does, it is a file, or as `check_writable`.
    """
    with _as_input_error(path):
        if path.exists() and not path.is_dir():
            raise InputError(f"{path}: is a file; name a folder")
        if path.is_dir() and any(path.iterdir()):
            raise InputError(f"{path}: is not empty; name a new folder")
        _check_parent(path)


@contextmanager
def _as_input_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise
        raise InputError(f"{path}: cannot be written: {str(error.strerror).lower()}") from None


def _check_parent(path: Path) -> None:
    """Try to make a file in the innermost folder around a path that exists."""
    parent = next(p for p in path.resolve().parents if p.exists())
    tempfile.TemporaryFile(dir=parent).close()


def _is_stream(path: Path) -> bool:
    """Whether a path is a device, a named pipe or an open file: never to be replaced."""
    if not path.exists() or path.is_dir():
        return False
    return not path.is_file() or path.parent in _OPEN_FILES


def _append(content: bytes, stream: Path) -> None:
    if stream == STDOUT:
        # By its own descriptor: opened anew, it would begin at the start of `> file` again.
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        with stream.open("ab") as opened:
            opened.write(content)
    except BrokenPipeError:
        raise InputError(f"{stream}: its reader closed it before the end") from None


def _beside(path: Path, suffix: str) -> Path:
    """An unused path in the same folder; it is short, where the name has the full length."""
    return path.with_name(f".{path.stem[:40]}.{uuid.uuid4().hex[:8]}{suffix}")


def is_disk_full(error: BaseException | str) -> bool:
    """Whether an exception, or what another process printed of one, means that the disk is full.

    Libraries wrap the system's error in their own, so its words are looked for, too.
    """
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return True
    return any(words in str(error) for words in _DISK_FULL_WORDS)


def close_to_others(folder: Path) -> None:
    """Make a folder that only its owner can enter, or close one that is there.

    A folder of somebody else's, a cluster's volume say, stays as it is.
    """
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o700)
        return
    mode = folder.stat().st_mode & 0o777
    with contextlib.suppress(OSError):
        folder.chmod(mode & 0o700)
        if mode & 0o077:
            migrated(folder, f"only its owner can enter it (its mode was {mode:o})")


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """Give a file a second name where the file system allows it; else copy it."""
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
