"""A run's events: a file of JSON lines, written by the steps and read by the process that waits.

    {"step": "train", "state": "running", "progress": [3, 9]}
    {"step": "train", "state": "running", "error": {"kind": "InputError", "message": "…"}}
    {"step": "train", "state": "failed", "seconds": 2.5}

`MOODLINE_EVENTS` names the file. Where it is not set, nothing is written and all else is the same.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from components.base import errors
from components.base.files import is_disk_full

EVENTS = "MOODLINE_EVENTS"
"""The environment variable that names the file."""

State = Literal["running", "done", "reused", "failed"]

_KINDS: dict[str, type[errors.MoodlineError]] = {
    name: getattr(errors, name)
    for name in ("DiskFull", "InputError", "Refused", "Stopped", "Unavailable")
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception of another process.

    Attributes:
        kind: the name of the nearest of Moodline's kinds; for a fault that of its class, if any.
        message: its text.
    """

    kind: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Describe an exception."""
        if is_disk_full(error):
            return cls("DiskFull", str(error))
        names = [base.__name__ for base in type(error).__mro__]
        return cls(next((name for name in names if name in _KINDS), names[0]), str(error))

    def exception(self) -> errors.MoodlineError | None:
        """The exception again; None for a fault, which is of no kind."""
        kind = _KINDS.get(self.kind)
        return kind(self.message) if kind else None

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.kind, self.message.partition("\n")[0])))


@dataclass(frozen=True, slots=True)
class Event:
    """A step of a run at one moment.

    Attributes:
        step: its name.
        state: "running", "done", "reused" (it was done before, by this run or another) or "failed".
        seconds: since it began.
        progress: the parts of its work that are done, and their number.
        error: what ended it.
        output: the last lines that it printed; of a step that failed only.
    """

    step: str
    state: State
    seconds: float = 0.0
    progress: tuple[int, int] | None = None
    error: Failure | None = None
    output: tuple[str, ...] = ()


def report(event: Event) -> None:
    """Add an event to the file, if there is one. A failure to write it is ignored."""
    path = os.environ.get(EVENTS)
    if not path:
        return
    given = {key: value for key, value in asdict(event).items() if value}
    with contextlib.suppress(OSError), Path(path).open("ab", buffering=0) as file:
        file.write(f"{json.dumps(given)}\n".encode())  # one write, so that lines stay whole


@dataclass
class EventReader:
    """Follows a run by its file.

    Attributes:
        path: the file; it need not exist yet.
        steps: the last event of each step, in the order in which they began. An error stays.
    """

    path: Path
    steps: dict[str, Event] = field(default_factory=dict)
    _offset: int = 0

    def read(self) -> list[Event]:
        """The events since the last call."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        return [self._take(event) for line in whole.splitlines() if (event := _parse(line))]

    def first(self, state: State) -> Event | None:
        """The first step that is in this state."""
        return next((event for event in self.steps.values() if event.state == state), None)

    def _take(self, event: Event) -> Event:
        before = self.steps.get(event.step)
        if before is not None and event.error is None:
            event = replace(event, error=before.error)
        self.steps[event.step] = event
        return event


def _parse(line: bytes) -> Event | None:
    """A line as an event; None for one that a full disk cut short."""
    try:
        given: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    error, progress = given.pop("error", None), given.pop("progress", None)
    return Event(
        **{**given, "output": tuple(given.get("output", ()))},
        error=Failure(**error) if error else None,
        progress=(progress[0], progress[1]) if progress else None,
    )
