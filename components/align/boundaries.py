"""Word ends that a recogniser stretched over silence."""

from collections.abc import Sequence

import numpy as np

from components.align.speech import DIGITS, Speech
from components.conversation import Seconds, SpeakerSegment

LONGEST: Seconds = 1.0
"""Few words last longer; the end of one that does may be the next word's start."""

SHORTEST: Seconds = 0.3
"""What is left of a word at least."""

HOLE: Seconds = 0.3
"""Silence of this length inside speech is the diarizer's, not the speaker's."""


def cut_ends(
    starts: np.ndarray, ends: np.ndarray, segments: Sequence[SpeakerSegment]
) -> np.ndarray:
    """The ends of words, in seconds, without the silence that long words were stretched over.

    A word longer than `LONGEST` ends with the speech, anybody's, that it begins in; one that begins
    in silence, with the first speech in its first second, or it lasts `LONGEST`::

        speech   |-------|        |----|
        word       |so ==============|
        cut        |so --|

    >>> speech = [SpeakerSegment(0.0, 2.0, "A"), SpeakerSegment(5.0, 6.0, "B")]
    >>> cut_ends(np.array([0.5, 1.5, 5.1]), np.array([0.9, 5.0, 5.9]), speech).tolist()
    [0.9, 2.0, 5.9]

    Args:
        starts: [words].
        ends: [words].
        segments: who speaks when.
    """
    long = np.flatnonzero(ends - starts > LONGEST)
    if not len(long):
        return ends
    half = HOLE / 2
    anyone = [SpeakerSegment(s.start - half, s.end + half, "") for s in segments]
    last = starts[long] + LONGEST
    if anyone:
        speech = Speech(sorted(anyone))
        following = np.searchsorted(speech.ends - half, starts[long], side="right")
        begins, stops = (np.r_[edges, np.inf][following] for edges in (speech.starts, speech.ends))
        last = np.where(begins + half <= last, np.round(stops - half, DIGITS), last)
    cut = ends.copy()
    cut[long] = np.minimum(ends[long], np.maximum(last, starts[long] + SHORTEST))
    return cut
