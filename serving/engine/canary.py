"""A version in staging answers a share of the requests, and is stopped when it does badly.

The choice depends on the request's id alone. Every process makes the same choice, also for the same
request sent again, and a share that grows keeps the requests it already had.

Each process judges by the requests it has seen. The first process that finds a limit broken writes
a file beside the pointer. From then on the canary gets no request, in any process. `moodline serve`
reads the file, too, and takes the version out of staging in the registry, with the reason.
"""

import hashlib
import logging
from collections import deque
from pathlib import Path
from statistics import median

from components.conversation import Seconds
from serving import metrics
from serving.lineup import Halt, read_halt, write_halt
from serving.settings import TrafficSettings

logger = logging.getLogger(__name__)

WINDOW = 500
"""How many of the last requests count."""


def request_fraction(request_id: str, purpose: str) -> float:
    """A number in [0, 1) that a request's id alone decides, another one for each purpose."""
    digest = hashlib.blake2b(f"{purpose}\0{request_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


class Canary:
    """Decides which requests go to the version in staging, and stops a bad one by the halt file."""

    def __init__(self, settings: TrafficSettings, halt: Path) -> None:
        self._settings = settings
        self._path = halt
        self._seen: int | None = None
        self._halt: Halt | None = None
        self._trial: tuple[int, Trial] | None = None

    def answers(self, version: int, request_id: str) -> bool:
        """Whether the version in staging answers this request."""
        share = self._settings.canary_share
        return request_fraction(request_id, "canary") < share and not self._halted(version)

    def production_answered(self, seconds: Seconds) -> None:
        """Production answered a request."""
        if self._trial:
            self._trial[1].production.append(seconds)

    def canary_answered(self, version: int, seconds: Seconds | None) -> None:
        """The version in staging answered a request, or failed where production did not (None)."""
        self._count(version, seconds, "failed" if seconds is None else "answered")

    def canary_late(self, version: int, seconds: Seconds) -> None:
        """The version in staging did not answer within so many seconds, which a sender's own
        deadline left it. That is no failure, and counts as an answer after that time."""
        self._count(version, seconds, "late")

    def _count(self, version: int, seconds: Seconds | None, outcome: str) -> None:
        if self._trial is None or self._trial[0] != version:
            self._trial = (version, Trial(self._settings))
        metrics.CANARY.labels(outcome, version).inc()
        reason = self._trial[1].canary_answered(seconds)
        if reason and not self._halted(version):
            logger.warning("version %d gets no more traffic: %s", version, reason)
            metrics.CANARY_HALTED.labels(version).inc()
            self._halt = Halt(version, reason)
            write_halt(self._path, self._halt)

    def _halted(self, version: int) -> bool:
        try:
            seen = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            seen = None
        if seen != self._seen:
            self._seen, self._halt, self._trial = seen, read_halt(self._path), None
        return self._halt is not None and self._halt.version == version


class Trial:
    """How the version in staging does beside production, over the last requests of each."""

    def __init__(self, settings: TrafficSettings) -> None:
        self._settings = settings
        self._canary: deque[Seconds | None] = deque(maxlen=WINDOW)
        self.production: deque[Seconds] = deque(maxlen=WINDOW)

    def canary_answered(self, seconds: Seconds | None) -> str:
        """The canary answered a request, or failed (None).

        Returns:
            Why it must take no more traffic; empty while it may go on.
        """
        self._canary.append(seconds)
        return self._too_many_errors() or self._too_slow()

    def _too_many_errors(self) -> str:
        limit, failed = self._settings.canary_errors, self._canary.count(None)
        # Even if the rest of the smallest trial succeeded, the limit would be broken.
        if failed <= limit * max(len(self._canary), self._settings.canary_requests):
            return ""
        return f"{failed} of {len(self._canary)} requests failed, the limit is {limit:.1%}"

    def _too_slow(self) -> str:
        answered = [seconds for seconds in self._canary if seconds is not None]
        if min(len(answered), len(self.production)) < self._settings.canary_requests:
            return ""
        ratio = median(answered) / max(median(self.production), 1e-9)
        limit = self._settings.canary_slower
        if ratio <= limit:
            return ""
        return f"its median time is {ratio:.1f} times production's, the limit is {limit:g} times"
