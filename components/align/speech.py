"""Who speaks when, as words ask for it: how much of a word, how near, for how long."""

from collections.abc import Mapping, Sequence

import numpy as np

from components.base import InputError
from components.conversation import MAX_VOICES, SpeakerSegment

DIGITS = 6
"""Lengths are compared after rounding to a microsecond, so that equal ones are equal."""


class Speech:
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

    def inside(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Seconds spoken inside each stretch, of the shape of `starts`."""
        return np.interp(ends, self.times, self.spoken) - np.interp(starts, self.times, self.spoken)

    def distance(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Seconds from each stretch to the nearest speech, edge to edge; 0 where they meet."""
        after = np.searchsorted(self.starts, ends, side="right")
        to_last = np.maximum(starts - np.r_[-np.inf, self.ends][after], 0)
        to_next = np.r_[self.starts, np.inf][after] - ends
        return np.minimum(to_last, to_next)

    def closeness(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Seconds spoken inside each stretch; where none, minus the distance to the nearest."""
        inside = np.round(self.inside(starts, ends), DIGITS)
        return np.where(inside > 0, inside, -np.round(self.distance(starts, ends), DIGITS))

    def stretch(self, times: np.ndarray) -> np.ndarray:
        """How long the stretch of speech at each instant lasts, in seconds; 0 in silence."""
        last = np.searchsorted(self.starts, times, side="right")
        ends = np.r_[-np.inf, self.ends][last]
        return np.where(times <= ends, ends - np.r_[0.0, self.starts][last], 0.0)


def speech_by_speaker(segments: Sequence[SpeakerSegment]) -> Mapping[str, Speech]:
    """Each speaker's speech, the union of their segments, in label order.

    Raises:
        InputError: there are more than `MAX_VOICES` speakers.
    """
    speakers: dict[str, list[SpeakerSegment]] = {}
    for segment in sorted(segments):
        speakers.setdefault(segment.speaker, []).append(segment)
    if len(speakers) > MAX_VOICES:
        raise InputError(
            f"the speaker segments name {len(speakers):,} speakers; at most {MAX_VOICES} can be"
            " told apart in a recording"
        )
    return {label: Speech(speakers[label]) for label in sorted(speakers)}
