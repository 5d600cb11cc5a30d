"""What a run tells of its steps while it goes on, read as steps that begin and end."""

import json
import re
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from components.base import MoodlineError

State = Literal["running", "done", "reused", "failed"]

_EVENT = "::moodline:: "
# What kfp itself says: its log, with a time in front, and its executor's chatter.
_NOISE = re.compile(r"^\d\d:\d\d:\d\d\.\d+ - |^\[KFP Executor|^-+$|^Wrote executor output file")
_KEPT_LINES = 400


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run at one moment.

    Attributes:
        name: of the component; of a second shard's with "-2" behind it.
        state: "running", "done", "reused" (it was done before, by this run or another) or "failed".
        seconds: since it began.
        says: why it failed, where that is not in what it printed.
    """

    name: str
    state: State
    seconds: float = 0.0
    says: str = ""

    def line(self) -> str:
        """As a line of a run's log."""
        return _EVENT + json.dumps(asdict(self))


class StepFailed(MoodlineError):
    """A step of a run failed. The text is one line; `tail` holds the last lines that it printed.

    Attributes:
        step: its name; empty if it was none of the steps.
        tail: the last lines it printed.
        log: the whole run's log.
    """

    def __init__(self, step: str, says: str, tail: tuple[str, ...], log: Path) -> None:
        super().__init__(f"step {step or '(none: the run itself)'} failed: {says} (log: {log})")
        self.step, self.tail, self.log = step, tail, log


@dataclass
class LogReader:
    """Follows a run by its log.

    Attributes:
        steps: the last state of each step, in the order in which they began.
        tails: the last lines that each step printed; two shards' that ran at the same time have
            each other's among them.
    """

    steps: dict[str, Step] = field(default_factory=dict)
    tails: dict[str, deque[str]] = field(default_factory=dict)

    def read(self, line: str) -> Step | None:
        """Take in one line; the step that it tells of, if it does."""
        line = line.rstrip("\n")
        if line.startswith(_EVENT):
            step = Step(**json.loads(line.removeprefix(_EVENT)))
            self.steps[step.name] = step
            return step
        text = line.strip()
        if text and not _NOISE.match(text):
            for name in self._running() or [""]:
                self.tails.setdefault(name, deque(maxlen=_KEPT_LINES)).append(line)
        return None

    def failed(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps.values() if step.state == "failed"), None)

    def tail(self, name: str) -> Sequence[str]:
        """The last lines that a step printed; of the run itself for an empty name."""
        return tuple(self.tails.get(name, ()))

    def _running(self) -> list[str]:
        return [step.name for step in self.steps.values() if step.state == "running"]


class Clock:
    """Tells of one step on standard output, with the time since it began."""

    def __init__(self, name: str) -> None:
        self._name, self._began = name, time.monotonic()
        self.tell("running")

    def tell(self, state: State, says: str = "") -> None:
        """Write one line."""
        # `print` is not what it was while kfp runs a step.
        step = Step(self._name, state, time.monotonic() - self._began, says)
        sys.stdout.write(f"{step.line()}\n")
        sys.stdout.flush()


def last_words(lines: Iterable[str]) -> str:
    """The line that says what went wrong: the exception's, else the last one."""
    said = [line.strip() for line in lines if line.strip()]
    exceptions = [line for line in said if re.match(r"^[\w.]*(Error|Exception|Refused)\b", line)]
    return (exceptions or said or ["it said nothing"])[-1]
