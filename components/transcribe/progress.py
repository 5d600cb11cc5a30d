"""How far a recording's words have come."""

from collections.abc import Callable

from components.conversation import Seconds


class Progress:
    """Reports the share of a recording whose words have their times.

    Args:
        length: of the recording.
        step: called with the share, 0 to 1; what it raises ends the work.
    """

    def __init__(self, length: Seconds, step: Callable[[float], None] | None) -> None:
        self._length, self._step = length, step
        self._share = 0.0

    def reached(self, at: Seconds) -> None:
        """All up to here is done."""
        self._share = max(self._share, min(at / self._length, 1.0))
        self.goes_on()

    def goes_on(self) -> None:
        """Something was done, which the share does not show."""
        if self._step:
            self._step(self._share)


def part_of(step: Callable[[float], None], number: int, count: int, share: float) -> None:
    """Report the share of one of `count` equal parts as one of the whole."""
    step((number + share) / count)
