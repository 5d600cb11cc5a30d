"""Folders for sockets: closed to other users, and gone when the process that made them is."""

import contextlib
import fcntl
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)

SHARED_MEMORY = Path("/dev/shm")


class PrivateFolder:
    """A folder for sockets that only this user can enter, and a name for shared memory.

    It is locked while this process lives. systemd-tmpfiles leaves locked folders alone, whatever
    their age. A folder that nobody locks was left by a process that was killed: the next one of
    the same user removes it, with its shared memory.

    A socket's address has at most 107 bytes, and programs that are given one split it at spaces,
    `:`, `%` or `#`. So a folder for temporary files with such a name is not taken.

    Attributes:
        path: the folder.
        region: what the names of its shared memory begin with.
    """

    def __init__(self) -> None:
        usual = tempfile.gettempdir()
        is_plain = re.fullmatch(r"[\w./-]{1,55}", usual, re.ASCII)
        parent = Path(usual if is_plain else "/tmp")
        prefix = f"moodline-sockets-u{os.geteuid()}_"
        for left in parent.glob(f"{prefix}*"):
            if (lock := _lock(left)) is not None:
                logger.info("%s is removed: the process that made it was killed", left)
                _remove(left, _region(left))
                os.close(lock)
        lock = None
        while lock is None:  # somebody who cleans up may be quicker than our lock
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            lock = _lock(self.path)
        self._lock: int | None = lock
        self.region = _region(self.path)

    def clear_shared_memory(self) -> None:
        """Remove the shared memory with its name, which a killed process leaves behind."""
        _clear_shared_memory(self.region)

    def remove(self) -> None:
        """Remove it with all that is in it, and its shared memory."""
        _remove(self.path, self.region)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _region(folder: Path) -> str:
    return f"moodline_{folder.name[-8:]}_"  # the random end of its name


def _lock(folder: Path) -> int | None:
    """Lock a folder that is ours; None if somebody else has locked it, or it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        here, there = os.fstat(descriptor), folder.lstat()
        if here.st_uid == os.geteuid() and os.path.samestat(here, there):
            return descriptor
    except OSError:
        logger.debug("%s is in use or gone", folder)
    os.close(descriptor)
    return None


def _remove(folder: Path, region: str) -> None:
    _clear_shared_memory(region)
    shutil.rmtree(folder, ignore_errors=True)


def _clear_shared_memory(region: str) -> None:
    for path in SHARED_MEMORY.glob(f"{region}*"):
        with contextlib.suppress(OSError):  # gone, or another user's
            path.unlink()
