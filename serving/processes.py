"""Child processes that end when they should, and never outlive their parent."""

import contextlib
import ctypes
import fcntl
import itertools
import logging
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from components.conversation import Seconds

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
STANDARD_ERROR = 2
SHARED_MEMORY = Path("/dev/shm")

FOR_THE_OWNER_ONLY = 0o077
"""The umask of our servers: what they write holds what people said."""

MAX_LOG_BYTES = 10_000_000
KEPT_LOGS = 3
"""A log beyond that size becomes `<name>.1`, and so many older ones are kept."""

LOOK_SECONDS: Seconds = 10.0
"""Between two looks at a log's size."""


class Child:
    """A server started as the head of a process group of its own.

    On Linux the kernel ends it when this process dies, even by `kill -9`. It is tied to the thread
    that starts it, so that thread must live as long as the child.

    Args:
        command: the program and its arguments.
        environment: its whole environment.
        log: the file its output is appended to; None: this process's standard error.
        name: for messages.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path | None, name: str
    ) -> None:
        self.name = name
        self.log = log
        self._ended = threading.Event()
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        with _output(log) as output:
            self._log_start = output.tell() if log else 0
            self._process = subprocess.Popen(
                [*prefix, *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=FOR_THE_OWNER_ONLY,
            )
        if log:
            threading.Thread(target=self._keep_small, args=(log,), daemon=True).start()
        logger.info("started %s (process %d)", name, self._process.pid)

    @property
    def pid(self) -> int:
        """The head's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the head still runs."""
        return self._process.poll() is None

    def last_output(self, lines: int = 5) -> str:
        """The last lines of its output since it was started, for a message."""
        if self.log is None:
            return "see its output above"
        with self.log.open("rb") as output:
            if self._log_start <= self.log.stat().st_size:  # else it was rotated meanwhile
                output.seek(self._log_start)
            return "\n".join(output.read().decode(errors="replace").splitlines()[-lines:])

    def stop(self, grace: float = 15.0) -> None:
        """Ask it to end, and kill it after `grace` seconds, with all that it started."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                logger.warning("%s did not end within %g s and is killed", self.name, grace)
        # The rest of the group has lost its head, however the head ended.
        self.kill()
        self._process.wait()
        self._ended.set()
        logger.info("%s has ended", self.name)

    def kill(self) -> None:
        """Kill it with all that it started; a `stop` under way then ends at once."""
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):  # some have sessions of their own
            family = psutil.Process(self._process.pid).children(recursive=True)
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            logger.debug("%s left nothing behind", self.name)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()

    def _keep_small(self, log: Path) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            rotate(log)


def _output(log: Path | None) -> IO[bytes]:
    if log is None:
        return os.fdopen(os.dup(STANDARD_ERROR), "ab")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch(0o600)
    log.chmod(0o600)
    return log.open("ab")


def rotate(log: Path) -> None:
    """Make a log that has grown beyond `MAX_LOG_BYTES` the first of the older ones.

    Its writers go on: they append, so they write on at the beginning of the emptied file. What they
    write between the copy and the cut, a moment, is lost.
    """
    with contextlib.suppress(OSError):  # no room, say: the next look tries again
        if log.stat().st_size <= MAX_LOG_BYTES:
            return
        older = [log.with_name(f"{log.name}.{number}") for number in range(1, KEPT_LOGS + 1)]
        for newer, place in reversed(list(itertools.pairwise(older))):
            if newer.exists():
                newer.replace(place)
        shutil.copy(log, older[0])
        os.truncate(log, 0)


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel end this process when its parent dies (Linux), however that happens.

    Args:
        parent: the parent's process id, if known: one that has died before ends this process, too.
    """
    if sys.platform != "linux":
        return
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


_LIBC = ctypes.CDLL(None, use_errno=True)


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


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Random ports that nobody listens on now. They lie below the range that the kernel gives to
    connections (from 32768 on), so no connection takes one before a server does."""
    ports = range(15_000, 30_000)
    shuffled = random.SystemRandom().sample(ports, len(ports))
    return list(itertools.islice((p for p in shuffled if port_is_free(host, p)), count))


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # As servers do, so that connections still closing don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
