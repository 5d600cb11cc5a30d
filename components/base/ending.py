"""How a process ends: at once, and by a signal as by Ctrl-C.

Commands, pipeline steps and the service say so when they begin.
"""

import atexit
import gc
import signal


def end_quickly() -> None:
    """Have Python look for no garbage when it ends.

    With torch and pyannote.audio loaded that takes two seconds, for memory that goes with the
    process.
    """
    atexit.register(gc.freeze)


def end_as_by_ctrl_c() -> None:
    """Have SIGTERM raise `KeyboardInterrupt`, as Ctrl-C does: what was begun is cleaned up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
