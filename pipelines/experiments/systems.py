"""The paper's systems: how turns are made, and how the encoders are trained."""

from dataclasses import dataclass
from enum import StrEnum

from components.config import Profile


class TurnMethod(StrEnum):
    """How the turns of a recording are made."""

    ALIGNED = "aligned"
    BASELINE = "baseline"
    ORACLE = "oracle"

    @property
    def label(self) -> str:
        """As tables name it."""
        return {
            "aligned": "with alignment",
            "baseline": "without alignment",
            "oracle": "VAD-oracle, with alignment",
        }[self]

    def profile(self, profile: Profile) -> Profile:
        """The profile under which turns are made with this method."""
        align = profile.align.model_copy(update={"baseline": self is TurnMethod.BASELINE})
        segmentation = "reference" if self is TurnMethod.ORACLE else "vad"
        return profile.model_copy(update={"align": align, "segmentation": segmentation})


class Strategy(StrEnum):
    """Whether the encoders are trained with the rest."""

    FROZEN = "frozen"
    FINE_TUNED = "fine-tuned"


@dataclass(frozen=True, slots=True)
class System:
    """A method of making turns and a strategy; it trains, and is tested, on its own turns."""

    method: TurnMethod
    strategy: Strategy

    @property
    def name(self) -> str:
        """As JSON names it."""
        return f"{self.method}/{self.strategy}"

    @property
    def title(self) -> str:
        """As tables name it."""
        return f"{self.method.label}, {self.strategy}"

    def profile(self, profile: Profile) -> Profile:
        """The profile under which the system is trained."""
        frozen = self.strategy is Strategy.FROZEN
        train = profile.experiment.frozen if frozen else profile.experiment.fine_tuned
        return self.method.profile(profile).model_copy(update={"train": train})


ALIGNED = System(TurnMethod.ALIGNED, Strategy.FINE_TUNED)
ALIGNED_FROZEN = System(TurnMethod.ALIGNED, Strategy.FROZEN)
BASELINE = System(TurnMethod.BASELINE, Strategy.FINE_TUNED)
BASELINE_FROZEN = System(TurnMethod.BASELINE, Strategy.FROZEN)
ORACLE = System(TurnMethod.ORACLE, Strategy.FINE_TUNED)
ORACLE_FROZEN = System(TurnMethod.ORACLE, Strategy.FROZEN)

ALIGNMENT = (BASELINE_FROZEN, ALIGNED_FROZEN, BASELINE, ALIGNED)

TABLES: dict[str, tuple[System, ...]] = {
    "table1": ALIGNMENT,
    "table2": ALIGNMENT,
    "table3": (BASELINE, ALIGNED, ORACLE),
    "table4": (ALIGNED_FROZEN, ALIGNED),
    "boundaries": (ALIGNED_FROZEN, ORACLE_FROZEN),
    "all": (*ALIGNMENT, ORACLE_FROZEN, ORACLE),
}
"""The systems that each table needs. The paper's row “without alignment” does not say its strategy
(see `paper.NOTES`), so both are run. "boundaries" is no table of the paper's: what is lost from
sound alone, against true boundaries, with encoders that nothing is fitted to."""

PAPER_TABLES = TABLES.keys() - {"boundaries"}

DIFFERENCES = (
    (ALIGNED, BASELINE),
    (ALIGNED_FROZEN, BASELINE_FROZEN),
    (ALIGNED, ALIGNED_FROZEN),
    (BASELINE, BASELINE_FROZEN),
    (ORACLE, ALIGNED),
    (ORACLE_FROZEN, ALIGNED_FROZEN),
)
"""The pairs that are compared, where both were run: first less second."""
