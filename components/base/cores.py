"""How many cores a process may keep busy."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

MOST_AT_ONCE = 4
"""Of recordings, of batches of words or of chunks: each takes memory."""

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""A container's share of its node's cores, in microseconds of so many: `150000 100000`, or
`max 100000` (Linux, "Control Group v2")."""

_ONE: ContextVar[bool] = ContextVar("one core", default=False)


def cores() -> int:
    """The cores for the work of this context: those of the process, or one in `one_core`."""
    return 1 if _ONE.get() else process_cores()


def process_cores() -> int:
    """The cores of this process, or fewer where its container or `OMP_NUM_THREADS` says so.

    A container with a limit still sees all cores of its node. The variable holds for torch and
    Whisper, too. A process that shares its machine with others (a step in a pod) is given its part
    by it.
    """
    here = allowed_cores()
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return max(1, min(here, int(asked)) if asked.isdigit() else here)


def allowed_cores() -> int:
    """The cores that the machine and the container let this process use, whatever its variables
    say."""
    return int(max(1, min(len(os.sched_getaffinity(0)), _container_cores())))


def _container_cores() -> float:
    """What the container may use, rounded up; infinite where nothing says so."""
    try:
        quota, period = CPU_MAX.read_text("ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # there is no such file; "max"
        return math.inf


@contextmanager
def one_core() -> Iterator[None]:
    """The block is one of several that share the cores, one each."""
    token = _ONE.set(True)
    try:
        yield
    finally:
        _ONE.reset(token)
