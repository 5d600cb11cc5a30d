"""A trigger that is up before it can start runs: on a first day, what it needs comes later."""

import threading
from collections.abc import Callable

from components.base import MoodlineError, Unavailable
from pipelines.trigger.trigger import Trigger


class Awaited:
    """Makes the trigger as soon as its settings allow it; each call tries, until it is made.

    Args:
        make: makes it, or raises what is missing.
        tell: gets that as one line, once.
    """

    def __init__(self, make: Callable[[], Trigger], tell: Callable[[str], None]) -> None:
        self._make, self._tell = make, tell
        self._made: Trigger | None = None
        self._told = ""
        self._lock = threading.Lock()

    def now(self) -> None:
        """Make it, or raise what is missing."""
        self._made = self._make()

    def __call__(self) -> Trigger:
        """The trigger.

        Raises:
            Unavailable: it cannot be made yet; the text says what is missing.
        """
        with self._lock:
            if self._made is None:
                try:
                    self._made = self._make()
                except MoodlineError as error:
                    waits = f"the trigger waits: {error}"
                    if waits != self._told:
                        self._tell(waits)
                    self._told = waits
                    raise Unavailable(waits) from error
                if self._told:
                    self._tell("the trigger waits no longer: runs can start")
            return self._made

    def close(self) -> None:
        """Close its ledger."""
        if self._made is not None:
            self._made.ledger.close()
