"""Recordings share the models: their work is cut into steps, and a long one gives way after each.

    long   |step|                 |step|step|step|
    short       |step|step|step|

A long recording's steps take a few seconds each, so a short one waits for one of them, and not for
its end. Between two short ones the long one has a step.
What is said in a live call goes before both, after the step that is under way.
Work that nobody waits for any more ends at its next step.
"""

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from components.base import Stopped
from components.conversation import Seconds
from serving.errors import BusyError, LateError

T = TypeVar("T")


TOGETHER: Seconds = 3.0
"""So long others may join urgent work that has the lock; then they wait, and others have a turn."""


class FairLock:
    """A lock that threads get in the order in which they wait for it; use it with `with`. Those
    that take it by `urgently` get it before the others, and have it together."""

    def __init__(self) -> None:
        self._joining = threading.Condition()
        self._together = 0
        self._join_until = 0.0
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()
        self._urgent: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        self._enter(self._waiting)

    def _enter(self, waiting: deque[threading.Event], *, first: bool = False) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            waiting.insert(0 if first else len(waiting), mine)
        mine.wait()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            waiting = self._urgent or self._waiting
            if waiting:
                waiting.popleft().set()  # it stays taken: by the next
            else:
                self._taken = False

    @contextmanager
    def urgently(self) -> Iterator[None]:
        """Take it before all who wait and are not urgent, or join urgent work that has it."""
        with self._joining:
            while self._together and time.monotonic() >= self._join_until:
                self._joining.wait()
            if not self._together:
                self._enter(self._urgent)
                self._join_until = time.monotonic() + TOGETHER
            self._together += 1
        try:
            yield
        finally:
            with self._joining:
                self._together -= 1
                if not self._together:
                    self.__exit__()
                    self._joining.notify_all()

    def let_others_go(self, *, urgent_only: bool = False) -> None:
        """Let the threads that wait now go first; call it while holding the lock."""
        if self._urgent or (self._waiting and not urgent_only):
            self.__exit__()
            self._enter(self._waiting, first=urgent_only)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wants something done.

    Attributes:
        name: of the API key; empty where there are no keys.
        shares: whether there are other keys, which must find a place, too.
    """

    name: str = ""
    shares: bool = False


NOBODY = Sender()


def has_room(own: int, taken: int, places: int, *, shares: bool, more: int = 1) -> bool:
    """Whether somebody with `own` of the places that are taken may take `more`.

    Who shares may take as many as stay free: of 16 places one key alone takes 8, two take 5 each,
    and there is always room for another. (Choudhury and Hahne, "Dynamic queue length thresholds
    for shared-memory packet switches", 1998, with alpha = 1.)
    """
    return (own if shares else 0) + more <= places - taken


class Places:
    """So many places, shared fairly by the senders who take them; use it from one event loop."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._taken: Counter[str] = Counter()

    def has_room(self, sender: Sender, more: int = 1) -> bool:
        """Whether the sender may take so many more."""
        own, taken = self._taken[sender.name], self._taken.total()
        return has_room(own, taken, self.count, shares=sender.shares, more=more)

    @contextmanager
    def taken(self, sender: Sender, count: int = 1) -> Iterator[None]:
        """Take so many, whether or not there is room, until the block ends."""
        self._taken[sender.name] += count
        try:
            yield
        finally:
            self._taken[sender.name] -= count
            self._taken += Counter()  # forgets those with none


class Work:
    """The work on one request: its sender, its progress, its deadline, and whether it was stopped.

    The event loop stops it; the thread that does it reports each step. The deadline is in seconds
    from now; None: there is none.
    """

    def __init__(self, deadline: Seconds | None = None, sender: Sender = NOBODY) -> None:
        self.sender = sender
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
        self._places = Places(max_waiting + 1)
        self._what = what

    @asynccontextmanager
    async def turn(
        self, sender: Sender = NOBODY, *, background: bool = False
    ) -> AsyncIterator[None]:
        """Wait for a turn; in the background, no matter how many others wait.

        Raises:
            BusyError: too many are waiting.
        """
        if not background and not self._places.has_room(sender):
            raise BusyError(f"too many {self._what} are waiting; try again later")
        with self._places.taken(sender):
            async with self._slot:
                yield


async def result_of(future: "asyncio.Future[T]", work: Work) -> T:
    """The result of a thread. A cancelled caller stops the work and waits until the thread has
    ended, so that the next one finds a free thread."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        work.stop()
        await asyncio.wait([future])
        raise
