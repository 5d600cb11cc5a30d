"""Where on a recording's time line its sound belongs, by its container's time stamps."""

from components.conversation.types import Seconds

HOUR: Seconds = 3600.0
"""A clock that jumps further is not believed: a stream was joined late, or a clock was set."""

JITTER: Seconds = 0.1
"""Time stamps may differ so much from the sound before them."""

RESTART: Seconds = 1.0
"""A clock that goes back further begins anew: recordings were joined."""


class Clock:
    """Where on the recording's time line a track's next sample belongs.

    Args:
        zero: the container's time of the recording's beginning; None: the first sample's.
        jitter: differences up to here are none.
    """

    def __init__(self, zero: Seconds | None, jitter: Seconds) -> None:
        self.first = self.zero = zero
        self.jitter = jitter
        self.jumps: list[tuple[Seconds, Seconds]] = []
        self.gaps = 0
        self._base, self._count, self._rate = 0.0, 0, 1

    @property
    def position(self) -> Seconds:
        """The end of what has come."""
        return self._base + self._count / self._rate

    def gap(self, time: Seconds | None, jitter: Seconds | None = None) -> Seconds:
        """How much silence stands before a sample of that time."""
        if time is None:
            return 0.0
        if self.zero is None:
            self.zero = time - self.position
        late = time - self.zero - self.position
        if late > HOUR or late < -RESTART:
            if late > HOUR:
                self.jumps.append((self.position, late))
            self.zero += late
            return 0.0
        if late <= (self.jitter if jitter is None else jitter):
            return 0.0
        self.gaps += 1
        return late

    def add(self, count: int, rate: int) -> None:
        """So many samples came."""
        if rate != self._rate:
            self._base, self._count, self._rate = self.position, 0, rate
        self._count += count
