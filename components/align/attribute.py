"""Rule 2: whose a word is."""

from collections.abc import Sequence

import numpy as np

from components.base import InputError
from components.conversation import MAX_VOICES, UNKNOWN, Seconds, SpeakerSegment

DIGITS = 6
"""Lengths are compared after rounding to a microsecond, so that equal ones are equal."""


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
    speakers: dict[str, list[SpeakerSegment]] = {}
    for segment in sorted(segments):
        speakers.setdefault(segment.speaker, []).append(segment)
    labels = sorted(speakers)
    if len(labels) > MAX_VOICES:
        raise InputError(
            f"the speaker segments name {len(labels):,} speakers; at most {MAX_VOICES} can be told"
            " apart in a recording"
        )
    speech = [_Speech(speakers[label]) for label in labels]

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
    names = np.array([*labels, UNKNOWN], dtype=object)  # owner -1 is the last: unknown
    return names[owner].tolist()


class _Speech:
    """One speaker's speech: disjoint stretches, and how much of it lies before any time.

    One cumulative curve a speaker makes the cost grow with words + segments, not their product.
    """

    def __init__(self, segments: Sequence[SpeakerSegment]) -> None:
        spans = np.array([(s.start, s.end) for s in segments])  # ordered by start
        reach = np.maximum.accumulate(spans[:, 1])
        first = np.r_[True, spans[1:, 0] > reach[:-1]]  # begins after all before it ended
        self.starts = spans[first, 0]
        self.ends = reach[np.r_[first[1:], True]]
        lengths = self.ends - self.starts
        self.times = np.column_stack([self.starts, self.ends]).ravel()
        self.spoken = np.column_stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)]).ravel()

    def closeness(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Seconds spoken inside each stretch; where none, minus the distance to the nearest."""
        before, until = (np.interp(times, self.times, self.spoken) for times in (starts, ends))
        inside = np.round(until - before, DIGITS)
        after = np.searchsorted(self.starts, ends, side="right")
        to_last = np.maximum(starts - np.r_[-np.inf, self.ends][after], 0)
        to_next = np.r_[self.starts, np.inf][after] - ends
        distance = np.round(np.minimum(to_last, to_next), DIGITS)
        return np.where(inside > 0, inside, -distance)
