"""Two stages of one recording at the same time, each in a thread of its own.

    transcribe  |step|step|step|step|
    diarize     |step|step|step|

Models leave Python's lock while they compute, so two cores are kept busy. Where there is one core,
the second stage begins when the first has ended. The results are the same.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from components.base import Stopped, cores

A = TypeVar("A")
B = TypeVar("B")

Step = Callable[[float], None]
"""Called every few seconds with the share of a stage that is done; what it raises ends the work."""

Report = Callable[[str, float], None]
"""Called with the name of a stage and its share."""


def side_by_side(
    first: tuple[str, Callable[[Step], A]],
    second: tuple[str, Callable[[Step], B]],
    report: Report | None,
) -> tuple[A, B]:
    """Do two stages; each has a name and is given what to call after each of its steps.

    An error of one, or what `report` raises in one, ends the other at its next step, and is raised
    here once both have ended. Steps of the two never report at the same time: while one waits in
    `report`, the other waits at its next step.

    Args:
        report: of the first stage until it is done, then of the second.

    Returns:
        What the two return.
    """
    steps = _Steps(first[0], report)
    if cores() < 2:
        one = first[1](lambda share: steps.report(first[0], share))
        steps.current = second[0]
        return one, second[1](lambda share: steps.report(second[0], share))

    def other() -> B:
        try:
            return second[1](lambda share: steps.report(second[0], share))
        except BaseException:
            steps.failed.set()
            raise

    with ThreadPoolExecutor(1, second[0]) as pool:
        future = pool.submit(copy_context().run, other)
        try:
            one = first[1](lambda share: steps.report(first[0], share))
        except BaseException as error:
            steps.failed.set()
            cause = future.exception()  # waits for its end
            if isinstance(error, _EndedError) and cause is not None:
                raise cause from None
            raise
        steps.current = second[0]
        return one, future.result()


class _EndedError(Stopped):
    """The other stage ended with an error."""


class _Steps:
    """Both stages' steps, one at a time."""

    def __init__(self, current: str, report: Report | None) -> None:
        self.current = current
        self.failed = threading.Event()
        self._share = 0.0
        self._report = report
        self._one_at_a_time = threading.Lock()

    def report(self, stage: str, share: float) -> None:
        """A step of a stage is done."""
        with self._one_at_a_time:
            if self.failed.is_set():
                raise _EndedError("the other stage ended with an error")
            if stage == self.current:
                self._share = share
            if self._report:
                # A step of the other stage may end the work, too, but the share stays.
                self._report(self.current, self._share)
