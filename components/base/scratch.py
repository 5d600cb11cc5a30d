"""Local copies of objects that must be read by seeking: sound.

A copy is fetched when it is first needed. All lie in one folder below the system's temporary one
(`TMPDIR`), which the processes that a process starts share with it, and which is removed when it
ends. Where copies take too much room, those that were not used for the longest time go.
"""

import atexit
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from components.base.errors import InputError
from components.base.files import atomic_path
from components.base.storage import Location, State, Url

SCRATCH = "MOODLINE_SCRATCH"
"""The environment variable by which a process tells those that it starts where the copies lie."""

SCRATCH_BYTES = 16 << 30
"""The most room that copies take; it is half of what the disk has free, where that is less."""

STATE_SECONDS = 60.0
"""So long a reader takes an object to be what it was when the store was last asked."""

_PREFIX = f"moodline-scratch-{os.getuid()}-"
_LOCK = ".lock"

_states: dict[Url, tuple[float, State]] = {}
_locks: list[IO[bytes]] = []


@contextmanager
def at_hand(location: Location, state: State | None = None) -> Iterator[Path]:
    """A file that can be opened on this machine: the file itself, or a copy of an object.

    The copy stays for at least as long as the block lasts.

    Args:
        state: of the object, where it was just asked for.

    Raises:
        InputError, Unavailable: of an object; see `Url`.
    """
    if not isinstance(location, Url):
        yield location
        return
    if state is not None:
        _remember(location, state)
    with _held(location, object_state(location)) as path:
        yield path


def object_state(url: Url) -> State:
    """What an object is, or was less than a minute ago."""
    known = _states.get(url)
    if known is None or time.monotonic() - known[0] > STATE_SECONDS:
        return _remember(url, url.state())
    return known[1]


def _remember(url: Url, state: State) -> State:
    if len(_states) > 100_000:
        _states.clear()
    _states[url] = time.monotonic(), state
    return state


@contextmanager
def _held(url: Url, state: State) -> Iterator[Path]:
    """A copy that nobody removes meanwhile."""
    name = hashlib.sha256(f"{url}\0{state.size}\0{state.tag}".encode()).hexdigest()[:32]
    path = _folder() / f"{name}{url.suffix}"
    while (opened := _opened(path)) is None:
        make_room(path.parent, state.size)
        try:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                url.fetch(file, state)
        except InputError:
            _states.pop(url, None)
            raise
    with opened:
        yield path


def _opened(path: Path) -> IO[bytes] | None:
    """A copy, locked against removal; None where there is none (any more)."""
    with suppress(FileNotFoundError):
        file = path.open("rb")
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.fstat(file.fileno()).st_nlink:
            os.utime(path)
            return file
        file.close()
    return None


def make_room(folder: Path, size: int) -> None:
    """Remove the copies that were not used for the longest time, until another one fits."""
    copies = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if not path.name.startswith("."):
                copies.append((path.stat().st_mtime, path.stat().st_size, path))
    taken = sum(size for _, size, _ in copies)
    limit = min(SCRATCH_BYTES, (shutil.disk_usage(folder).free + taken) // 2)
    for _, freed, path in sorted(copies):
        if taken + size <= limit:
            return
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            taken -= freed


def _folder() -> Path:
    """Where the copies lie; the first process that asks makes it, and removes it at its end."""
    given = os.environ.get(SCRATCH)
    if given and Path(given).is_dir():
        return Path(given)
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = (folder / _LOCK).open("wb")
    fcntl.flock(lock, fcntl.LOCK_SH)
    _locks.append(lock)
    os.environ[SCRATCH] = str(folder)
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what processes left that were killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
