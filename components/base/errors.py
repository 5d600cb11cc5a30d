"""What can go wrong, by kind. Each kind knows its exit status and its HTTP status.

    MoodlineError       one line; the command line and the service print it without a traceback
      InputError        the request or the input is wrong: change it
      Unavailable       something that Moodline needs does not answer now: try again later
        DiskFull        the disk
      Refused           a rule says no: the registry, a gate
      Stopped           nobody waits for the work any more
      StepFailed        a step of a run failed, and nobody knows why: a fault

A rarer case is a subclass where it occurs, with statuses of its own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


class MoodlineError(Exception):
    """An expected failure. Its text is one line that says what is wrong and what to do.

    Attributes:
        exit_status: what the command line exits with.
        http_status: what the service answers.
        answer: what the service's callers read instead of the text, where that is for the operator
            only; empty: the text.
    """

    exit_status: ClassVar[int] = 70
    http_status: ClassVar[int] = 500
    answer: ClassVar[str] = ""


class InputError(MoodlineError, ValueError):
    """The request or the input is wrong. The text names the file or the field and the fault."""

    exit_status = 2
    http_status = 422


class Unavailable(MoodlineError):
    """A server, a database or a disk cannot do now what it is asked to do; later it may."""

    exit_status = 2
    http_status = 503


class DiskFull(Unavailable):
    """The disk, a quota or the largest size of a file is used up."""


class Refused(MoodlineError):
    """A rule does not allow it, or somebody else was faster. Nothing was changed."""

    exit_status = 1
    http_status = 409


class Stopped(MoodlineError):
    """The work was stopped, or nobody waits for its result any more."""

    exit_status = 130
    http_status = 499


class StepFailed(MoodlineError):
    """A step of a run failed unexpectedly.

    Attributes:
        step: its name; empty if it was none of the steps.
        tail: the last lines that it printed.
        log: the whole run's log.
    """

    def __init__(self, step: str, reason: str, tail: Sequence[str], log: Path) -> None:
        super().__init__(f"step {step or '(none: the run itself)'} failed: {reason} (log: {log})")
        self.step, self.tail, self.log = step, tuple(tail), log
