"""Recordings share the models fairly: their work is cut into steps, and after each another may go.

    long   |step|    |step|    |step|step|step|
    short       |step|    |step|

A long recording's steps take a few seconds each, so a short recording does not wait for its end.
Work that nobody waits for any more ends at its next step.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from components.base import Stopped
from components.conversation import Seconds
from serving.errors import BusyError, LateError


class FairLock:
    """A lock that threads get in the order in which they wait for it; use it with `with`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()  # it stays taken: by the next
            else:
                self._taken = False

    def let_others_go(self) -> None:
        """Let the threads that wait now go first; call it while holding the lock."""
        if self._waiting:
            self.__exit__()
            self.__enter__()


class Work:
    """The work on one request: its progress, its deadline, and whether it was stopped.

    The event loop stops it; the thread that does it reports each step. The deadline is in seconds
    from now; None: there is none.
    """

    def __init__(self, deadline: Seconds | None = None) -> None:
        self._end = None if deadline is None else time.monotonic() + deadline
        self._stopped = threading.Event()
        self.stage = ""
        self.share = 0.0

    def remaining(self) -> Seconds | None:
        """Seconds until the deadline, at least 0; None where there is none."""
        return None if self._end is None else max(self._end - time.monotonic(), 0.0)

    def stop(self) -> None:
        """Stop it: it ends at its next step."""
        self._stopped.set()

    def step(self, stage: str, share: float) -> None:
        """Report the stage, and the share of it that is done, 0 to 1.

        Raises:
            Stopped: the work was stopped.
            LateError: its deadline has passed.
        """
        self.stage, self.share = stage, share
        if self._stopped.is_set():
            raise Stopped("nobody waits for this any more")
        if self.remaining() == 0.0:
            raise LateError("the deadline passed before the work was done")


class AdmissionQueue:
    """A queue of limited length in front of something that takes one at a time; `what` names what
    waits, for the message."""

    def __init__(self, max_waiting: int, what: str) -> None:
        self._slot = asyncio.Semaphore(1)
        self._max_waiting = max_waiting
        self._what = what
        self._admitted = 0

    @asynccontextmanager
    async def turn(self, *, background: bool = False) -> AsyncIterator[None]:
        """Wait for a turn; in the background, no matter how many others wait.

        Raises:
            BusyError: too many are waiting.
        """
        if not background and self._admitted > self._max_waiting:
            raise BusyError(f"too many {self._what} are waiting; try again later")
        self._admitted += 1
        try:
            async with self._slot:
                yield
        finally:
            self._admitted -= 1
