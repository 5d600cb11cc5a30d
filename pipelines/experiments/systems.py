"""The paper's systems: how turns are made, and how the encoders are trained."""

from dataclasses import dataclass
from enum import StrEnum

from components.config import Profile


class Way(StrEnum):
    """How turns are made of a recording."""

    ALIGNED = "aligned"
    BASELINE = "baseline"
    ORACLE = "oracle"

    @property
    def label(self) -> str:
        """As tables name it."""
        return {
            Way.ALIGNED: "with alignment",
            Way.BASELINE: "without alignment",
            Way.ORACLE: "VAD-oracle, with alignment",
        }[self]

    def profile(self, profile: Profile) -> Profile:
        """The profile under which turns are made this way."""
        align = profile.align.model_copy(update={"baseline": self is Way.BASELINE})
        segmentation = "reference" if self is Way.ORACLE else "vad"
        return profile.model_copy(update={"align": align, "segmentation": segmentation})


class Strategy(StrEnum):
    """Whether the encoders are trained with the rest."""

    FROZEN = "frozen"
    FINE_TUNED = "fine-tuned"


@dataclass(frozen=True, slots=True)
class System:
    """A way of making turns and a strategy; it trains, and is tested, on its own turns."""

    way: Way
    strategy: Strategy

    @property
    def name(self) -> str:
        """As JSON names it."""
        return f"{self.way}/{self.strategy}"

    @property
    def title(self) -> str:
        """As tables name it."""
        return f"{self.way.label}, {self.strategy}"

    def profile(self, profile: Profile) -> Profile:
        """The profile under which the system is trained."""
        settings = profile.experiment
        train = settings.frozen if self.strategy is Strategy.FROZEN else settings.fine_tuned
        return self.way.profile(profile).model_copy(update={"train": train})


ALIGNED = System(Way.ALIGNED, Strategy.FINE_TUNED)
ALIGNED_FROZEN = System(Way.ALIGNED, Strategy.FROZEN)
BASELINE = System(Way.BASELINE, Strategy.FINE_TUNED)
BASELINE_FROZEN = System(Way.BASELINE, Strategy.FROZEN)
ORACLE = System(Way.ORACLE, Strategy.FINE_TUNED)
ORACLE_FROZEN = System(Way.ORACLE, Strategy.FROZEN)

ALIGNMENT = (BASELINE_FROZEN, ALIGNED_FROZEN, BASELINE, ALIGNED)

TABLES: dict[str, tuple[System, ...]] = {
    "table1": ALIGNMENT,
    "table2": ALIGNMENT,
    "table3": (BASELINE, ALIGNED, ORACLE),
    "table4": (ALIGNED_FROZEN, ALIGNED),
    "all": (*ALIGNMENT, ORACLE_FROZEN, ORACLE),
}
"""The systems that each table needs. Which strategy the paper's row “without alignment” had is
not known (see `paper.NOTES`), so both are run."""

DIFFERENCES = (
    (ALIGNED, BASELINE),
    (ALIGNED_FROZEN, BASELINE_FROZEN),
    (ALIGNED, ALIGNED_FROZEN),
    (BASELINE, BASELINE_FROZEN),
    (ORACLE, ALIGNED),
    (ORACLE_FROZEN, ALIGNED_FROZEN),
)
"""The pairs that are compared, where both were run: first less second."""
