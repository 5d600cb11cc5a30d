"""The request for a retraining, wherever it runs."""

from dataclasses import dataclass
from typing import Any

from components.base import Location
from components.register import check_actor, check_reason
from pipelines.definitions.code_version import git_commit


@dataclass(frozen=True, slots=True)
class RetrainRequest:
    """The request of a retraining.

    Attributes:
        corpus: the corpus' folder, as the steps see it, or its URL.
        feedback: what `moodline feedback export` wrote, to train on beside it. On a cluster as its
            steps see it, or `Path("log")`: what their prediction log's database holds.
        cache_name: of KFP's cache; under another name every step is done anew.
        promote: put the version into production if its verdict is "pass".
        actor: who is named for that.
        reason: why; kept with the version, too.
        cause: what started it, where nobody did: an alert's key and its address.

    Raises:
        InputError: the actor or the reason is longer than the registry keeps.
    """

    corpus: Location
    feedback: Location | None = None
    cache_name: str = ""
    promote: bool = False
    actor: str = "pipeline"
    reason: str = ""
    cause: str = ""

    def __post_init__(self) -> None:
        check_actor(self.actor)
        check_reason(self.reason)

    def arguments(self) -> dict[str, Any]:
        """The parameters of the pipeline."""
        return {
            "corpus": str(self.corpus),
            "feedback": str(self.feedback or ""),
            "cache_name": self.cache_name,
            "git_commit": git_commit(),
            "promote_if_passed": self.promote,
            "actor": self.actor,
            "reason": self.reason,
            "cause": self.cause,
        }

    def options(self) -> list[str]:
        """The options of `moodline retrain`; its actor is who runs it."""
        options = ["--corpus", str(self.corpus), "--reason", self.reason, "--cause", self.cause]
        options += ["--feedback", str(self.feedback)] if self.feedback else []
        return options + ["--promote"] * self.promote
