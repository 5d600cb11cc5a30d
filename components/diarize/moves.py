"""Stretches of a diarization that become another speaker's."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from components.conversation import Seconds, SpeakerSegment
from components.diarize.diarizer import Diarization

Segments = Sequence[SpeakerSegment]


class Heard(NamedTuple):
    """A sentence's voice, float [size] of length 1, and the diarizer's speaker."""

    start: Seconds
    end: Seconds
    voice: np.ndarray
    owner: str

    @property
    def seconds(self) -> Seconds:
        """How long it lasts."""
        return self.end - self.start


class Move(NamedTuple):
    """A stretch that becomes another speaker's."""

    start: Seconds
    end: Seconds
    speaker: str


def owner_of(exclusive: Segments, start: Seconds, end: Seconds) -> str:
    """The speaker who speaks longest in a stretch; empty: nobody."""
    spoken: dict[str, Seconds] = {}
    first = bisect_left(exclusive, start, key=lambda s: s.end)
    for segment in exclusive[first:]:
        if segment.start >= end:
            break
        inside = min(end, segment.end) - max(start, segment.start)
        spoken[segment.speaker] = spoken.get(segment.speaker, 0.0) + inside
    return max(sorted(spoken), key=spoken.__getitem__, default="")


def with_moves(diarization: Diarization, given: Sequence[tuple[Heard, str]]) -> Diarization:
    """The diarization, in which sentences, in order of start, are those of other speakers."""
    moves: dict[str, list[Move]] = {}
    for one, speaker in given:
        owner = owner_of(diarization.exclusive, one.start, one.end)
        if owner and owner != speaker:
            own = moves.setdefault(owner, [])
            # Sentences of recognised segments that overlap do so, too: no stretch is given twice.
            start = max(round(one.start, 3), own[-1].end if own else 0.0)
            if start < round(one.end, 3):
                own.append(Move(start, round(one.end, 3), speaker))
    if not moves:
        return diarization
    exclusive = _with(diarization.exclusive, moves)
    return replace(
        diarization,
        segments=_with(diarization.segments, moves),
        exclusive=exclusive,
        scores=diarization.scores
        and diarization.scores.following(diarization.exclusive, exclusive),
    )


def _with(segments: Segments, moves: Mapping[str, Sequence[Move]]) -> tuple[SpeakerSegment, ...]:
    """The segments, of which each speaker's moves, in order and apart, are other speakers'."""
    parts: list[SpeakerSegment] = []
    for segment in segments:
        own = moves.get(segment.speaker, ())
        now = segment.start
        for move in own[bisect_left(own, segment.start, key=lambda m: m.end) :]:
            if move.start >= segment.end:
                break
            first, last = max(now, move.start), min(move.end, segment.end)
            parts.append(SpeakerSegment(now, first, segment.speaker))
            parts.append(SpeakerSegment(first, last, move.speaker))
            now = last
        parts.append(SpeakerSegment(now, segment.end, segment.speaker))
    return joined([part for part in parts if part.start < part.end])


def joined(segments: Segments) -> tuple[SpeakerSegment, ...]:
    """Those of one speaker that overlap or touch as one, in order of start."""
    joined: dict[str, SpeakerSegment] = {}
    done: list[SpeakerSegment] = []
    for segment in sorted(segments):
        last = joined.get(segment.speaker)
        if last and segment.start <= last.end:
            joined[segment.speaker] = replace(last, end=max(last.end, segment.end))
            continue
        if last:
            done.append(last)
        joined[segment.speaker] = segment
    return tuple(sorted([*done, *joined.values()]))
