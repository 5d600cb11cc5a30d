"""Where the work on a recording goes: seconds and processor seconds of each stage.

Stages run side by side, each in threads of its own, so a process' own processor time does not tell
them apart. Each piece of work is counted by the thread that does it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Spent:
    """What a stage took.

    Attributes:
        seconds: in which it was at work, by the clock; stages may be at work at the same time.
        processor: seconds of all cores.
    """

    seconds: float = 0.0
    processor: float = 0.0


class Stages:
    """The stages of one piece of work; threads may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spent: dict[str, Spent] = {}
        self._at_work: dict[str, tuple[int, float]] = {}

    @property
    def spent(self) -> dict[str, Spent]:
        """By stage, in the order in which they began."""
        with self._lock:
            return {name: Spent(s.seconds, s.processor) for name, s in self._spent.items()}

    def begin(self, name: str) -> None:
        """A thread begins to work on a stage."""
        with self._lock:
            self._spent.setdefault(name, Spent())
            threads, since = self._at_work.get(name, (0, time.perf_counter()))
            self._at_work[name] = (threads + 1, since)

    def end(self, name: str, processor: float) -> None:
        """A thread has ended its work on a stage, which took so many seconds of its core."""
        with self._lock:
            self._spent[name].processor += processor
            threads, since = self._at_work.pop(name)
            if threads > 1:
                self._at_work[name] = (threads - 1, since)
            else:
                self._spent[name].seconds += time.perf_counter() - since

    def add(self, name: str, processor: float) -> None:
        """Seconds of a core that another thread worked for a stage."""
        with self._lock:
            self._spent.setdefault(name, Spent()).processor += processor


_STAGES: ContextVar[Stages | None] = ContextVar("stages", default=None)
_STAGE: ContextVar[str] = ContextVar("stage", default="")


@contextmanager
def watched() -> Iterator[Stages]:
    """What is done in the block, and in threads that take its context along, by stage."""
    stages = Stages()
    token = _STAGES.set(stages)
    try:
        yield stages
    finally:
        _STAGES.reset(token)


@contextmanager
def spent_on(stage: str) -> Iterator[None]:
    """The block is work on a stage. Nothing is counted where nobody watches."""
    stages = _STAGES.get()
    if stages is None:
        yield
        return
    token, began = _STAGE.set(stage), time.thread_time()
    stages.begin(stage)
    try:
        yield
    finally:
        stages.end(stage, time.thread_time() - began)
        _STAGE.reset(token)


def charge(processor: float) -> None:
    """Count seconds of a core that threads without this context worked for the present stage."""
    stages = _STAGES.get()
    if stages is not None and _STAGE.get():
        stages.add(_STAGE.get(), processor)


def counted(stage: str, function: Callable[P, T]) -> Callable[P, T]:
    """The function, its calls counted as work on a stage."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with spent_on(stage):
            return function(*args, **kwargs)

    return call


class NativeThreads:
    """The processor time of threads that a library started itself, as CTranslate2 does.

    Only threads that Python did not start are counted, so a library whose work is done in the
    caller's thread adds nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working = 0
        self._counted = 0.0

    @contextmanager
    def charged(self) -> Iterator[None]:
        """Charge what they do in the block to the present stage; of blocks that overlap each second
        is charged once."""
        if _STAGES.get() is None:
            yield
            return
        with self._lock:
            if not self._working:
                self._counted = _native_seconds()
            self._working += 1
        try:
            yield
        finally:
            with self._lock:
                now = _native_seconds()
                self._working -= 1
                charge(max(now - self._counted, 0.0))
                self._counted = now


NATIVE_THREADS = NativeThreads()
"""Those of this process."""


def _native_seconds() -> float:
    import psutil

    ours = {thread.native_id for thread in threading.enumerate()}
    threads = psutil.Process().threads()
    return float(sum(t.user_time + t.system_time for t in threads if t.id not in ours))
