"""What kfp's local runner prints, read as steps that begin and end."""

import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

State = Literal["running", "done", "failed"]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Lines of kfp itself begin with a time; those of a step are indented.
_BEGINS = re.compile(r"^\d\d:\d\d:\d\d\.\d+ - INFO - Executing task '([^']+)'")
_ENDS = re.compile(r"^\d\d:\d\d:\d\d\.\d+ - \w+ - Task '([^']+)' finished with status (\w+)")
_NOISE = re.compile(r"^\[KFP Executor|^-+$|^Wrote executor output file")
_KEPT_LINES = 400


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run at one moment.

    Attributes:
        name: of the component.
        state: "running", "done" or "failed".
        seconds: since it began.
    """

    name: str
    state: State
    seconds: float = 0.0


@dataclass
class LogReader:
    """Follows a run by its log.

    Attributes:
        steps: the last state of each step, in the order in which they began.
        tails: the last lines that each step printed.
    """

    steps: dict[str, Step] = field(default_factory=dict)
    tails: dict[str, deque[str]] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    _current: str = ""

    def read(self, line: str) -> Step | None:
        """Take in one line; the step that it begins or ends, if it does."""
        line = _COLOUR.sub("", line.rstrip("\n"))
        if match := _BEGINS.match(line):
            self._current = match[1]
            self._began[match[1]] = time.monotonic()
            return self._note(Step(match[1], "running"))
        if match := _ENDS.match(line):
            taken = time.monotonic() - self._began.get(match[1], time.monotonic())
            state: State = "done" if match[2] == "SUCCESS" else "failed"
            self._current = ""
            return self._note(Step(match[1], state, taken))
        text = line.strip()
        if text and not _NOISE.match(text):
            self.tails.setdefault(self._current, deque(maxlen=_KEPT_LINES)).append(line)
        return None

    def failed(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps.values() if step.state == "failed"), None)

    def tail(self, name: str) -> Sequence[str]:
        """The last lines that a step printed; of the run itself for an empty name."""
        return tuple(self.tails.get(name, ()))

    def _note(self, step: Step) -> Step:
        self.steps[step.name] = step
        return step


def last_words(lines: Iterable[str]) -> str:
    """The line that says what went wrong: the exception's, else the last one."""
    said = [line.strip() for line in lines if line.strip()]
    exceptions = [line for line in said if re.match(r"^[\w.]*(Error|Exception|Refused)\b", line)]
    return (exceptions or said or ["it said nothing"])[-1]
