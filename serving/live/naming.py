"""Which speaker of the final answer is which of the live one's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from components.conversation import Turn


def same_speakers(live: Sequence[Turn], final: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Pairs that speak at the same times for longest, one to one.

    >>> told = [Turn("c", 0.0, 2.0, "SPEAKER_00", "hi"), Turn("c", 2.0, 5.0, "SPEAKER_01", "oh")]
    >>> same_speakers(told, [{"start_time": 2.1, "end_time": 5.0, "speaker": "SPEAKER_00"}])
    {'SPEAKER_01': 'SPEAKER_00'}

    Args:
        final: turns as SegLST entries.

    Returns:
        The final name of each live speaker who has one.
    """
    final = list(final)
    ours = sorted({turn.speaker for turn in live})
    theirs = sorted({turn["speaker"] for turn in final})
    starts, ends = (np.array([t[edge] for t in final]) for edge in ("start_time", "end_time"))
    whose = np.array([theirs.index(turn["speaker"]) for turn in final], dtype=int)
    shared = np.zeros((len(ours), len(theirs)))
    for turn in live if final else ():
        common = np.minimum(ends, turn.end) - np.maximum(starts, turn.start)
        np.add.at(shared[ours.index(turn.speaker)], whose, np.maximum(common, 0.0))
    pairs = zip(*linear_sum_assignment(-shared), strict=True)
    return {ours[a]: theirs[b] for a, b in pairs if shared[a, b] > 0}
