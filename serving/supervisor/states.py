"""The states of a version on its way through a rollout.

loading ──> proven ──> serving ──> draining ──> unloaded
   │                      │
   └──────> refused <─────┘  (only on trial, in staging or as candidate)
"""

from dataclasses import dataclass, field
from enum import StrEnum

from components.conversation import Seconds
from serving.triton.control import Golden

MAX_FAILURES = 2
"""A version that fails so often is refused if another one can be served in its stead."""


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
        reason: why it is refused.
    """

    state: State = State.LOADING
    golden: list[Golden] = field(default_factory=list)
    unload_at: Seconds = 0.0
    failures: int = 0
    reason: str = ""

    def count_failure(self) -> bool:
        """Whether it has now failed too often."""
        self.failures += 1
        return self.failures >= MAX_FAILURES
