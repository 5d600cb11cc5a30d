"""EDER: which emotion appears when, whoever speaks."""

from collections.abc import Iterable, Sequence

import numpy as np

from components.conversation import DEFAULT_LABELS, Turn
from components.scoring.conventions import Convention
from components.scoring.errors import EmotionErrors
from components.scoring.sweep import Cells, Span, Tracks

NEUTRAL = "neutral"
"""The label that is no emotion; silence is none, either."""


def eder(
    reference: Sequence[Turn],
    hypothesis: Sequence[Turn],
    convention: Convention,
    uem: Iterable[Span] | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> EmotionErrors:
    """Emotion diarization error of one recording (Wang, Ravanelli and Yacoubi, ASRU 2023).

    At each moment there is an emotion, or none: `neutral` and silence are none. What differs is
    missed, a false alarm, confused, or, where the right one is heard and another one with it, an
    overlap; the sum is divided by the length of all that is scored, silence included. So it is
    lower than TEER where much is silent or neutral, and misses of neutral speech cost nothing. ::

        reference   |-- sad --|- neutral -|         |- angry -|
        hypothesis     |-------- sad -----|         |- happy -|
                     missed    false alarm            confusion

    Their recordings have one emotion at a time. Where two people's emotions meet, the moment is
    right if the same are heard, missed where some of them are, and confused where another one
    takes one's place. A hypothesis turn without an emotion has none. No label is mapped, so the
    convention `ser-align` counts as `collar0`.

    >>> from components.scoring import find_convention
    >>> eder(
    ...     [Turn("r", 0, 4, "A", "", "sad"), Turn("r", 4, 8, "A", "", "neutral")],
    ...     [Turn("r", 1, 7, "1", "", "sad")],
    ...     find_convention("collar0"),
    ... )
    EmotionErrors(missed=1.0, false_alarm=3.0, confusion=0.0, overlap=0.0, total=8.0)

    Args:
        reference: turns of none of the labels are taken out of what is scored.
        uem: stretches to score in place of the convention's extent.
        labels: the emotions that are scored.
    """
    region = convention.region(reference, hypothesis, uem, without_other=labels)
    there, heard = (Tracks.of(turns, _emotion) for turns in (reference, hypothesis))
    cells = Cells(there.spans, heard.spans, region.inside, region.removed)
    lengths = cells.scored(region)
    missing, added, some = (np.zeros(len(lengths), dtype=bool) for _ in range(3))
    nothing = np.empty((0, 2))
    for emotion in there.by_label.keys() | heard.by_label.keys():
        one, other = (
            cells.count(tracks.by_label.get(emotion, nothing)) > 0 for tracks in (there, heard)
        )
        missing |= one & ~other
        added |= other & ~one
        some |= one
    return EmotionErrors(
        missed=float(lengths @ (missing & ~added)),
        false_alarm=float(lengths @ (added & ~some)),
        confusion=float(lengths @ (missing & added)),
        overlap=float(lengths @ (added & ~missing & some)),
        total=float(lengths.sum()),
    )


def _emotion(turn: Turn) -> str | None:
    return None if turn.emotion == NEUTRAL else turn.emotion
