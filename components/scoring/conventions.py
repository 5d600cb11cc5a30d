"""What is scored, and with which collar: the conventions that numbers are printed with.

reference   |- sad -|  |- other -|      |-- angry --|
hypothesis |---------------|               |----------------|

wu2023       .-----.-.           .----. .---------.          extent of the reference, less
                                                             collars and “other”
collar0    |-----------|         |--------------------------| extent of both, less “other”
ser-align  |------------------------------------------------| extent of both
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from components.base import InputError
from components.conversation import Seconds, Turn
from components.scoring.sweep import PRECISION, Region, Span, span_array


@dataclass(frozen=True, slots=True)
class Convention:
    """A way of counting.

    Attributes:
        collar: seconds left out on each side of every reference boundary (half of what
            pyannote calls collar).
        extent: without a UEM, what is scored reaches from the first to the last boundary of the
            reference, or of reference and hypothesis.
        own_mapping: labels are mapped by `DiarizationErrorRate` before they are compared, and
            other emotions are dropped from the reference only.
    """

    name: str
    note: str
    collar: Seconds = 0.0
    extent: Literal["reference", "both"] = "both"
    own_mapping: bool = False

    def region(
        self,
        reference: Sequence[Turn],
        hypothesis: Sequence[Turn],
        uem: Iterable[Span] | None = None,
        *,
        without_other: Sequence[str] | None,
    ) -> Region:
        """What is scored of a recording.

        Args:
            reference: all of its reference turns.
            hypothesis: its hypothesis turns.
            uem: stretches to score in place of the extent.
            without_other: the labels; reference turns of none of them are left out. None: all are
                scored.
        """
        turns = [turn for turn in reference if turn.end - turn.start > PRECISION]
        edges = [time for turn in turns for time in (turn.start, turn.end)]
        removed: list[Span] = []
        if self.collar > 0:
            removed += [(edge - self.collar, edge + self.collar) for edge in edges]
        if without_other is not None:
            removed += [(t.start, t.end) for t in turns if t.emotion not in without_other]
        if uem is None:
            if self.extent == "both":
                edges += [time for turn in hypothesis for time in (turn.start, turn.end)]
            uem = [(min(edges), max(edges))] if edges else []
        return Region(span_array(uem), span_array(removed))


CONVENTIONS = {
    convention.name: convention
    for convention in (
        Convention(
            "wu2023",
            "Wu et al. 2023: collar ±0.25 s, scored over the reference's extent",
            collar=0.25,
            extent="reference",
        ),
        Convention("collar0", "no collar, scored over both extents"),
        Convention(
            "ser-align",
            "the paper's published code: labels are mapped in the best way before they are"
            " compared, so a classifier with all labels permuted scores 0; only to stand beside"
            " Table III",
            own_mapping=True,
        ),
    )
}
DEFAULT = "wu2023"


def find_convention(name: str) -> Convention:
    """The convention of that name.

    Raises:
        InputError: there is none.
    """
    if name not in CONVENTIONS:
        raise InputError(f"{name}: no such convention; name one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
