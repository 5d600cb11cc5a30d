"""Which version answers which request: production, or for a share of them the one on trial.

Both draws depend on the request's id alone, so every process of the service, and the same request
sent again, comes to the same choice; and a share that grows keeps those it already had.
"""

import hashlib

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from components.config import Environment


class TrafficSettings(Environment):
    """Which versions are served, each from `MOODLINE_TRAFFIC_<NAME>` in the environment.

    Attributes:
        shadow_share: of requests that the version `candidate` is asked, too; its answers are
            compared and never returned.
        shadow_at_once: of them under way in one process; more are left out, and counted.
        canary_share: of requests that the version in `staging` answers.
        canary_errors: the share of the canary's requests that may fail.
        canary_slower: how many times production's median time the canary's may be.
        canary_requests: how many requests it takes to judge.
        follow_seconds: between two looks at what the registry says.
        watch_seconds: between two questions to the model, to see that it answers.
        grace_seconds: that a version is kept on Triton after another took over.
    """

    model_config = SettingsConfigDict(env_prefix="MOODLINE_TRAFFIC_", frozen=True, extra="ignore")

    shadow_share: float = Field(default=0.0, ge=0, le=1)
    shadow_at_once: int = Field(default=2, ge=1)
    canary_share: float = Field(default=0.0, ge=0, le=1)
    canary_errors: float = Field(default=0.05, ge=0, le=1)
    canary_slower: float = Field(default=2.0, gt=0)
    canary_requests: int = Field(default=50, ge=1)
    follow_seconds: float = Field(default=5.0, gt=0)
    watch_seconds: float = Field(default=1.0, gt=0)
    grace_seconds: float = Field(default=10.0, ge=0)

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, for a child process."""
        return {
            f"MOODLINE_TRAFFIC_{name.upper()}": str(value)
            for name, value in self.model_dump().items()
        }


def draw(request_id: str, purpose: str) -> float:
    """A number in [0, 1) that a request's id alone decides, another one for each purpose."""
    digest = hashlib.blake2b(f"{purpose}\0{request_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
