"""Child processes that end when they should, and never outlive their parent."""

import ctypes
import itertools
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
STANDARD_ERROR = 2


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
            )
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
        logger.info("%s has ended", self.name)

    def kill(self) -> None:
        """Kill it with all that it started; a `stop` under way then ends at once."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            logger.debug("%s left nothing behind", self.name)


def _output(log: Path | None) -> IO[bytes]:
    if log is None:
        return os.fdopen(os.dup(STANDARD_ERROR), "ab")
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


def end_with_parent() -> None:
    """Have the kernel end this process when its parent dies (Linux), however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


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
