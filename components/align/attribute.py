"""Rule 2: whose a word is."""

from collections.abc import Sequence

import numpy as np

from components.align.speech import DIGITS, speech_by_speaker
from components.conversation import UNKNOWN, Seconds, SpeakerSegment


def attribute(
    starts: np.ndarray,
    ends: np.ndarray,
    segments: Sequence[SpeakerSegment],
    *,
    max_pause: Seconds = 1.5,
) -> list[str]:
    """The speaker of each stretch: who speaks longest inside it, else who is nearest.

    A speaker's speech is the union of their segments::

        segments  A |-------|          B |-----|
        words        |a|  |b |  |c|  |d  |
                      A    A     A     B

    A tie goes to the previous stretch's speaker if among the tied, else to the first in label
    order. A stretch inside nobody's speech goes to the speaker of the nearest segment (edge to
    edge) within `max_pause`, ties by the same rule, else to `unknown`. A stretch of no length is
    an instant: it belongs to those who speak at it, at distance 0.

    >>> segments = [SpeakerSegment(0.0, 2.0, "A"), SpeakerSegment(3.0, 4.0, "B")]
    >>> attribute(np.array([0.5, 2.6, 9.0]), np.array([0.9, 2.8, 9.5]), segments)
    ['A', 'B', 'unknown']

    Args:
        starts: seconds, shape [words], in the order that “previous” means.
        ends: seconds, shape [words].
        segments: who speaks when; may overlap.

    Returns:
        A speaker label a word.

    Raises:
        InputError: there are more than `MAX_VOICES` speakers.
    """
    by_speaker = speech_by_speaker(segments)
    speech = list(by_speaker.values())

    owner = np.full(len(starts), -1)
    best = np.full(len(starts), np.nextafter(-round(max_pause, DIGITS), -np.inf))
    tied = np.zeros(len(starts), dtype=bool)
    for number, curve in enumerate(speech):
        closeness = curve.closeness(starts, ends)
        better = closeness > best
        tied = (tied & ~better) | ((closeness == best) & (owner >= 0))
        owner[better] = number  # in label order: of the tied, the first stays
        best = np.maximum(best, closeness)

    at = np.flatnonzero(tied)
    among = [curve.closeness(starts[at], ends[at]) == best[at] for curve in speech]
    for position, word in enumerate(at):
        if word and owner[word - 1] >= 0 and among[owner[word - 1]][position]:
            owner[word] = owner[word - 1]
    names = np.array([*by_speaker, UNKNOWN], dtype=object)  # owner -1 is the last: unknown
    return names[owner].tolist()
