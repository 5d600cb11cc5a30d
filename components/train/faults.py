"""What goes wrong in the processes that read windows (`DataLoader`), in one line here."""

import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from components.base import MoodlineError, Unavailable

OF_A_READER = "DataLoader worker"
"""How torch's errors of a process that ended begin."""

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

    torch raises the error of a process that ended wherever it hears of it, also in the end of
    another loader, where Python would print it: that is left out.

    Raises:
        MoodlineError: what one of them raised.
        Unavailable: one of them was killed.
    """
    before = sys.unraisablehook

    def hook(fault: "sys.UnraisableHookArgs") -> None:
        if not str(fault.exc_value).startswith(OF_A_READER):
            before(fault)

    sys.unraisablehook = hook
    try:
        yield
    except MoodlineError as error:
        if not str(error).startswith("Caught "):
            raise
        # "Caught InputError in DataLoader worker process 0.", a traceback, "…InputError: the line"
        *_, last = str(error).strip().splitlines()
        raise type(error)(last.partition(": ")[2]) from None
    except RuntimeError as error:
        if not str(error).startswith(OF_A_READER):
            raise
        _forget(error)
        raise Unavailable(KILLED) from None
    finally:
        sys.unraisablehook = before


def _forget(error: BaseException) -> None:
    """Let go of the loader that an error's frames hold, and with it of its processes."""
    for _ in range(TRIES):
        with suppress(RuntimeError):
            seen: BaseException | None = error
            while seen is not None:
                traceback.clear_frames(seen.__traceback__)
                seen = seen.__context__
            gc.collect()  # it is part of a cycle
            return
