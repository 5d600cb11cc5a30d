"""Sharing the models fairly: everybody's work is cut into steps, and after each the next may go.

    long   |step|    |step|    |step|step|step|
    short       |step|    |step|

A long recording's steps are a few seconds each, so a short one beside it is not kept waiting; and
work that nobody waits for any more ends at its next step.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from components.base import Stopped
from components.conversation import Seconds
from serving.errors import BusyError, LateError


class Baton:
    """Who has it may use the models; threads get it in the order in which they asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._queue: deque[threading.Event] = deque()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the baton, and give it back at the end."""
        self._take()
        try:
            yield
        finally:
            self._give()

    def pass_on(self) -> None:
        """Let those go first who are waiting now; call it while holding the baton."""
        with self._lock:
            if not self._queue:
                return
        self._give()
        self._take()

    def _take(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._queue.append(mine)
        mine.wait()

    def _give(self) -> None:
        with self._lock:
            if self._queue:
                self._queue.popleft().set()  # it stays taken: by the next
            else:
                self._taken = False


class Work:
    """Something that is being done for somebody: how far it is, and whether it is still wanted.

    The event loop stops it; the thread that does it asks at each step.

    Args:
        deadline: seconds from now until nobody waits for it any more; None: somebody always does.
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
        """Nobody wants it any more; what is done on it ends at its next step."""
        self._stopped.set()

    def step(self, stage: str, share: float) -> None:
        """A step was taken: say how far the stage is.

        Raises:
            Stopped: nobody wants the work any more.
            LateError: its deadline has passed.
        """
        self.stage, self.share = stage, share
        if self._stopped.is_set():
            raise Stopped("nobody waits for this any more")
        if self.remaining() == 0.0:
            raise LateError("the deadline passed before the work was done")


class Lane:
    """A queue in front of something that takes one at a time.

    Args:
        waiting: how many may wait; None: as many as like.
        what: those who wait, for the message.
    """

    def __init__(self, waiting: int, what: str) -> None:
        self._room = asyncio.Semaphore(1)
        self._waiting = waiting
        self._what = what
        self._inside = 0

    @asynccontextmanager
    async def turn(self, *, patient: bool = False) -> AsyncIterator[None]:
        """Wait for a turn.

        Args:
            patient: wait however many there are.

        Raises:
            BusyError: too many are waiting.
        """
        if not patient and self._inside > self._waiting:
            raise BusyError(f"too many {self._what} are waiting; try again later")
        self._inside += 1
        try:
            async with self._room:
                yield
        finally:
            self._inside -= 1
