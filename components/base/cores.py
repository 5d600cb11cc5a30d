"""How many cores a process may keep busy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MOST_AT_ONCE = 4
"""Of recordings, or of batches of words: each takes memory."""

_ONE: ContextVar[bool] = ContextVar("one core", default=False)


def cores() -> int:
    """The cores for the work of this context: those of the process, or one in `one_core`."""
    return 1 if _ONE.get() else process_cores()


def process_cores() -> int:
    """The cores of this process, or fewer where `OMP_NUM_THREADS` says so.

    That variable holds for torch and Whisper, too. A process that shares its machine with others
    (a step in a pod) is given its part by it.
    """
    here = len(os.sched_getaffinity(0))
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return max(1, min(here, int(asked))) if asked.isdigit() else here


@contextmanager
def one_core() -> Iterator[None]:
    """The block is one of several that share the cores, one each."""
    token = _ONE.set(True)
    try:
        yield
    finally:
        _ONE.reset(token)
