"""A run's folder on this machine, and what it tells of the run."""

import fcntl
from pathlib import Path
from typing import Literal

PID = "pid"
"""The file in a run's folder that holds its process' number, and that this process holds locked."""

RESULT = "result.json"
"""The file that holds what the run printed, once it has ended well."""

RunState = Literal["running", "ended", "broken off", "elsewhere"]


def run_state(run: str) -> RunState:
    """How far a run is that was started on this machine.

    Args:
        run: what the ledger says of it: its folder. Of a run on a cluster, or of one on another
            machine, nothing is known here: "elsewhere".

    Returns:
        "ended" if it wrote its result, whatever its gate said; "broken off" if it ended without.
    """
    folder = Path(run)
    if not folder.is_absolute() or not folder.is_dir():
        return "elsewhere"
    if _is_held(folder / PID):
        return "running"
    result = folder / RESULT
    return "ended" if result.is_file() and result.stat().st_size else "broken off"


def _is_held(path: Path) -> bool:
    """Whether the process that wrote the file still lives: the lock goes with it."""
    try:
        with path.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
