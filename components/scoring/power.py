"""How often a gate lets an equally good model through: what its test set can tell, and what not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

DIFFERING = 0.2
"""The share of utterances that two equally good models differ on, one of them being right."""

LOW = 0.5
"""A gate of less power refuses an equal model more often than not."""


@dataclass(frozen=True, slots=True)
class Power:
    """The power of the check that decides, as it is known before any model was run.

    Attributes:
        rate: the one that is compared: `accuracy`, `teer`.
        conversations, utterances: to test on, those with a label that is scored.
        passes: the share of equally good models that pass.
    """

    rate: str
    margin: float
    conversations: int
    utterances: int
    min_conversations: int
    passes: float

    @property
    def low(self) -> bool:
        """Whether an equal model fails to pass more often than it passes."""
        return self.passes < LOW

    def __str__(self) -> str:
        says = (
            f"with {self.conversations} conversations ({self.utterances:,} utterances) an equal"
            f" model passes {100 * self.passes:.0f} of 100 times"
            f" ({self.rate} at most {self.margin:g} worse than production's)"
        )
        if self.conversations < self.min_conversations:
            return f"{says}: the gate asks for {self.min_conversations} conversations"
        more = "; it takes more test conversations, or a wider margin"
        return says + (more if self.low else "")


def power(
    rate: str,
    weights: Sequence[float],
    conversations: int,
    margin: float,
    *,
    min_conversations: int = 1,
    differing: float = DIFFERING,
) -> Power:
    """The power of a check that passes where a one-sided 95 % bound lies above −margin.

    An utterance that only one of two models answers rightly moves the difference of their rates by
    its weight, one way or the other. If they are equally good, the difference is about normal, with
    the variance `differing` · Σ weight². The bound is taken from what was measured, so the
    difference over its measured spread follows Student's t, and where the margin is added, the
    noncentral t. (Answers are taken as independent of each other; where conversations differ in
    which model suits them, the power is less.)

    >>> says = power("accuracy", [1 / 1240] * 1240, 31, 0.01)
    >>> round(says.passes, 2), says.low
    (0.19, True)
    >>> round(power("accuracy", [1 / 1240] * 1240, 31, 0.04).passes, 2)
    0.92

    Args:
        weights: of each utterance; those of an accuracy are 1 / utterances.
        conversations: that the utterances are of.
        margin: how much worse the rate may be.
        min_conversations: with fewer of them no model passes.
        differing: the share of utterances that one of the two alone answers rightly.
    """
    from scipy.stats import nct, t

    enough = conversations >= max(2, min_conversations)
    spread = math.sqrt(differing * sum(weight**2 for weight in weights))
    passes = 0.0
    if enough and spread:
        degrees = conversations - 1
        passes = float(nct.sf(t.ppf(0.95, degrees), degrees, margin / spread))
    return Power(rate, margin, conversations, len(weights), min_conversations, passes)
