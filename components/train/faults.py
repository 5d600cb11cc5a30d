"""What goes wrong in the processes that read windows (`DataLoader`), in one line here."""

import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from components.base import MoodlineError, Unavailable

KILLED = (
    "a process that reads the corpus for the training was killed, perhaps for want of memory"
    " (MOODLINE_READERS says how many there are); start it again: it goes on from its last"
    " checkpoint"
)

TRIES = 64
"""Twice the most processes that read, and more."""


@contextmanager
def read_faults() -> Iterator[None]:
    """Errors of reading processes as they were raised there, without their tracebacks.

    Raises:
        MoodlineError: what one of them raised.
        Unavailable: one of them was killed.
    """
    try:
        yield
    except MoodlineError as error:
        if not str(error).startswith("Caught "):
            raise
        # "Caught InputError in DataLoader worker process 0.", a traceback, "…InputError: the line"
        *_, last = str(error).strip().splitlines()
        raise type(error)(last.partition(": ")[2]) from None
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        _forget(error)
        raise Unavailable(KILLED) from None


def _forget(error: BaseException) -> None:
    """Let go of the loader that an error's frames hold, and with it of its processes.

    Until then torch raises the same error wherever it hears of a process that ended; in the
    loader's own end it would be printed.
    """
    before = sys.unraisablehook

    def hook(fault: "sys.UnraisableHookArgs") -> None:
        if not str(fault.exc_value).startswith("DataLoader worker"):
            before(fault)

    sys.unraisablehook = hook
    for _ in range(TRIES):
        with suppress(RuntimeError):
            seen: BaseException | None = error
            while seen is not None:
                traceback.clear_frames(seen.__traceback__)
                seen = seen.__context__
            gc.collect()  # it is part of a cycle
            return
