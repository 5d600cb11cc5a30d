"""Files that are written whole or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.conversation.errors import InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well.

    Works for a file and for a folder (the block makes either). After a failure nothing is left.

    Args:
        path: where the finished file or folder is to stand; an older one is replaced, a file by
            a file and a folder by a folder.

    Yields:
        The temporary path; its folder exists, itself it does not, its suffix is `path`'s.

    Raises:
        InputError: a folder stands where the file is to go, or a file where the folder is, or
            there can be no folder around it.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError, PermissionError) as error:
        raise InputError(f"{path}: cannot be written: {str(error.strerror).lower()}") from None
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        _check_kind(temporary, path)
        if path.is_dir() and not path.is_symlink():
            # A folder cannot be renamed over a full one: move the old one aside first.
            aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
            path.rename(aside)
            temporary.rename(path)
            shutil.rmtree(aside)
        else:
            temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def _check_kind(made: Path, path: Path) -> None:
    """Refuse what would put a file in a folder's place, and all that is in it out of the world."""
    if path.is_dir() and not made.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    if path.is_file() and made.is_dir():
        raise InputError(f"{path}: is a file; name a folder")


def check_new_folder(path: Path) -> None:
    """Refuse a folder that a user named and that holds something already.

    Raises:
        InputError: it does, or it is a file.
    """
    if path.is_file():
        raise InputError(f"{path}: is a file; name a folder")
    if path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path}: is not empty; name a new folder")
