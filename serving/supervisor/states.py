"""The states of a version on its way through a rollout.

loading ──> proven ──> serving ──> draining ──> unloaded
   │                      │
   └──────> refused <─────┘  (only on trial, in staging or as candidate)
"""

import time
from dataclasses import dataclass, field
from enum import StrEnum

from components.conversation import Seconds
from serving.triton.control import Golden

MAX_FAILURES = 2
"""A version that fails so often is refused if another one can be served in its stead."""

FORGIVE_SECONDS: Seconds = 600.0
"""A version's failures no longer count once it has answered well for so long."""


class State(StrEnum):
    """What has become of a version; one that is unloaded is forgotten."""

    LOADING = "loading"
    PROVEN = "proven"
    SERVING = "serving"
    DRAINING = "draining"
    REFUSED = "refused"


LOADED = (State.PROVEN, State.SERVING, State.DRAINING)


@dataclass(slots=True)
class RolloutVersion:
    """A version on its way through the states.

    Attributes:
        golden: its clips with their answers.
        unload_at: on the monotonic clock, once it drains.
        failures: how often a Triton had to be restarted for it.
        interruptions: how often production failed while this version was loaded.
        well_since: on the monotonic clock, its first good answer after its last failure.
        reason: why it is refused.
    """

    state: State = State.LOADING
    golden: list[Golden] = field(default_factory=list)
    unload_at: Seconds = 0.0
    failures: int = 0
    interruptions: int = 0
    well_since: Seconds | None = None
    reason: str = ""

    def count_failure(self) -> bool:
        """Whether it has now failed too often."""
        self.failures, self.well_since = self.failures + 1, None
        return self.failures >= MAX_FAILURES

    def count_interruption(self) -> bool:
        """Whether production has now failed too often meanwhile."""
        self.interruptions += 1
        return self.interruptions >= MAX_FAILURES

    def note_good_answer(self) -> None:
        """Forgive its failures if it has answered well for long enough."""
        now = time.monotonic()
        self.well_since = now if self.well_since is None else self.well_since
        if now - self.well_since >= FORGIVE_SECONDS:
            self.failures = 0
