"""Writing the log: a line is with the kernel before its request is answered.

A journal belongs to one writer, who holds its lock; the kernel lets go of it when the writer dies,
whatever killed it, and another writer rolls the journal up. So a killed service loses nothing that
it answered; a machine that loses its power loses at most the last `sync_seconds`.
"""

import fcntl
import logging
import os
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from components.base import atomic_path
from components.conversation import Seconds
from components.traffic.erase import drop_erased, erased
from components.traffic.rows import journals, read_journal, unnamed_journals

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """A journal whose lock is held; `began` is when its first line came."""

    path: Path
    descriptor: int
    began: float
    size: int = 0
    dirty: bool = False


class Journal:
    """The writer of one process; its methods may be called by several threads.

    Args:
        folder: the log's.
        roll_bytes: a journal of this size is rolled into Parquet.
        roll_seconds: one of this age is, too.
        sync_seconds: how often what was written is forced onto the disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        roll_bytes: int = 16_000_000,
        roll_seconds: Seconds = 600.0,
        sync_seconds: Seconds = 0.5,
    ) -> None:
        self.folder = Path(folder)
        self.broken = 0
        self._roll_bytes = roll_bytes
        self._roll_seconds = roll_seconds
        self._sync_seconds = sync_seconds
        self._lock = threading.Lock()
        self._rolling = threading.Lock()
        self._open: _Open | None = None
        self._closed: list[_Open] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tend, name="prediction-log", daemon=True)
        self._thread.start()

    def append(self, line: bytes) -> None:
        """Write a line; it outlives this process when this returns.

        Raises:
            OSError: it cannot be written (a full disk, say); the journal is as before.
        """
        with self._lock:
            # Only now: a journal's name tells the day of its lines.
            journal = self._open = self._open or _begin(self.folder)
            try:
                _write(journal, line)
            except OSError:
                os.ftruncate(journal.descriptor, journal.size)
                raise
            journal.size += len(line)
            journal.dirty = True
            if journal.size >= self._roll_bytes:
                self._turn_over()

    def roll(self) -> None:
        """Roll all that was written into Parquet, and what dead writers left.

        Raises:
            OSError: it cannot be written; it stays in its journal.
        """
        with self._lock:
            self._turn_over()
        self._roll_closed()
        self._roll_left()

    def close(self) -> None:
        """Stop writing, and roll up what this writer wrote.

        Raises:
            OSError: as `roll`.
        """
        self._stop.set()
        self._thread.join()
        with self._lock:
            self._turn_over()
        self._roll_closed()

    def _turn_over(self) -> None:
        """Go on in a new journal, at the next line; the lock is held."""
        if self._open:
            self._closed.append(self._open)
            self._open = None

    def _tend(self) -> None:
        looked = -self._roll_seconds  # at once: a dead writer may have left something
        while not self._stop.wait(self._sync_seconds):
            try:
                self._sync()
                now = time.monotonic()
                with self._lock:
                    if self._open and now - self._open.began >= self._roll_seconds:
                        self._turn_over()
                self._roll_closed()
                if now - looked >= self._roll_seconds:
                    looked = now
                    self._roll_left()
            except OSError:
                logger.exception("the prediction log cannot be rolled up; it stays in journals")
                self._stop.wait(min(self._roll_seconds, 10.0))

    def _sync(self) -> None:
        with self._lock:
            journal = self._open
            if journal is None or not journal.dirty:
                return
            journal.dirty = False
            descriptor = os.dup(journal.descriptor)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _roll_closed(self) -> None:
        with self._rolling:
            while self._closed:
                journal = self._closed[0]
                self.broken += _roll(self.folder, journal.path)
                os.close(journal.descriptor)
                self._closed.pop(0)

    def _roll_left(self) -> None:
        """What dead writers left."""
        for path in journals(self.folder):
            self.broken += roll_orphan(self.folder, path)
        for path in unnamed_journals(self.folder):
            _drop_orphan(path)


def _begin(folder: Path) -> _Open:
    """A new journal; it has its name only once its lock is held, so nobody takes it for left."""
    place = folder / "journal"
    place.mkdir(parents=True, exist_ok=True)
    name = f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-{uuid.uuid4().hex[:12]}.jsonl"
    hidden = place / f".{name}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
    while True:
        descriptor = os.open(hidden, flags, 0o640)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            break
        os.close(descriptor)  # taken for left in the instant before its lock
    hidden.rename(place / name)
    return _Open(place / name, descriptor, time.monotonic())


def _write(journal: _Open, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[os.write(journal.descriptor, left) :]


def roll_orphan(folder: Path, path: Path) -> int:
    """Roll a journal up if its writer is dead; how many of its lines were broken."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0  # somebody else was faster
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.fstat(descriptor).st_nlink:
            return 0
        return _roll(folder, path)
    except BlockingIOError:
        return 0  # its writer lives
    finally:
        os.close(descriptor)


def _drop_orphan(path: Path) -> None:
    """Remove a journal whose writer died before its first line."""
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except BlockingIOError:
            pass  # its writer lives
        finally:
            os.close(descriptor)


def _roll(folder: Path, path: Path) -> int:
    """Write a journal as Parquet and remove it; its lock is held. How many lines were broken."""
    import pyarrow.parquet as pq

    rows, broken = read_journal(path.read_bytes())
    if broken:
        logger.warning("%s: %d broken lines were dropped", path.name, broken)
    target = parquet_of(folder, path)
    table = drop_erased(rows, erased(folder))
    if len(table) and not target.exists():
        with atomic_path(target) as temporary:
            pq.write_table(table, temporary, compression="zstd")
            _force(temporary)
        _force(target.parent)
    with suppress(FileNotFoundError):
        path.unlink()
    return broken


def parquet_of(folder: Path, journal: Path) -> Path:
    """Where a journal's rows stand once it is rolled up."""
    return folder / "turns" / f"day={journal.name[:10]}" / f"{journal.stem}.parquet"


def _force(path: Path) -> None:
    """Force a file or a folder's entries onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
