"""Rule 1: one stream of words, every one with times, none lost."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter

import numpy as np

from components.conversation import AsrSegment, Seconds, Word

HALF_KNOWN: Seconds = 0.5
"""How long a word lasts at most of which only the start or only the end is known: few last longer,
and one that filled its whole gap would be given to whoever speaks longest in there."""

Times = tuple[Seconds | None, Seconds | None]


def flatten(segments: Sequence[AsrSegment]) -> list[Word]:
    """All words of all segments: segments by start, then end; a segment's words in their order.

    A recogniser's times are off by some hundredths of a second, and its segments may overlap, so
    order by time alone would mix up sentences. A time that is known is never changed. Words
    without times share the gap between their neighbours evenly::

        timed        |ab|              |cd|
        untimed         | one |two |three|

    Where a segment has no neighbour on a side, its own bound stands for it. A word with a start and
    no end, or the reverse, lasts `HALF_KNOWN`, or its even share of the gap where that is less. A
    gap that is not there, as when neighbours overlap, leaves its words as instants.

    >>> words = (Word("ab", 0.0, 1.0), Word("one", None, None), Word("two", None, None))
    >>> for word in flatten([AsrSegment(0.0, 2.0, "ab one two", words)]):
    ...     print(word.text, word.start, word.end)
    ab 0.0 1.0
    one 1.0 1.5
    two 1.5 2.0

    Returns:
        As many words as came in, each with start and end in seconds.
    """
    return [word for segment in _ordered(segments) for word in _timed(segment)]


def segment_starts(segments: Sequence[AsrSegment]) -> np.ndarray:
    """Whether each word of `flatten`'s is the first of its segment: bool [words]."""
    counts = [len(segment.words) for segment in _ordered(segments) if segment.words]
    begins = np.zeros(sum(counts), dtype=bool)
    begins[np.cumsum([0, *counts[:-1]])[: len(counts)]] = True
    return begins


def _ordered(segments: Sequence[AsrSegment]) -> list[AsrSegment]:
    return sorted(segments, key=attrgetter("start", "end"))


def _timed(segment: AsrSegment) -> Sequence[Word]:
    """The segment's words in spoken order, missing times filled in."""
    if not any(map(_untimed, segment.words)):
        return segment.words
    words = _completed(segment)
    result: list[Word] = []
    for untimed, run in groupby(words, key=_untimed):
        group = list(run)
        if untimed:
            last = len(result) + len(group)
            before = result[-1].end if result else None
            after = words[last].start if last < len(words) else None
            group = _share(group, before, after, segment)
        result += group
    return result


def _untimed(word: Word) -> bool:
    return word.start is None or word.end is None


def _completed(segment: AsrSegment) -> list[Word]:
    """The segment's words; those of which one time is known have the other as well."""
    times = [(word.start, word.end) for word in segment.words]
    ends = _ends(times, segment.end)
    mirrored = _ends([(_minus(end), _minus(start)) for start, end in times[::-1]], -segment.start)
    starts = map(_minus, mirrored[::-1])
    return [
        replace(word, start=start, end=end)
        for word, start, end in zip(segment.words, starts, ends, strict=True)
    ]


def _ends(times: Sequence[Times], bound: Seconds) -> list[Seconds | None]:
    """The end of each word: as it is, or made of its start, else None.

    Args:
        times: start and end of each, either of them None.
        bound: where the last one ends at the latest.
    """
    ends: list[Seconds | None] = []
    sharing = 0  # words between this one's start and the next time that is known
    for start, end in reversed(times):
        sharing += 1
        if start is not None and end is None:
            share = min((bound - start) / sharing, HALF_KNOWN)
            ends.append(max(start, min(start + share, bound)))
        else:
            ends.append(end)
        if start is not None:
            bound, sharing = start, 0
        elif end is not None:
            bound, sharing = end, 1
    return ends[::-1]


def _minus(time: Seconds | None) -> Seconds | None:
    return None if time is None else 0.0 - time  # never -0.0


def _share(
    words: Sequence[Word], before: Seconds | None, after: Seconds | None, segment: AsrSegment
) -> list[Word]:
    """Spread words without times evenly between their neighbours, or the segment's bounds.

    Args:
        before: the end of the word before, None where there is none.
        after: the start of the word behind, None where there is none.
        segment: that they are of.
    """
    high = segment.end if after is None else after
    low = min(segment.start, high) if before is None else before
    high = max(low, high)
    edges = [low + (high - low) * i / len(words) for i in range(len(words))] + [high]
    return [
        replace(word, start=start, end=end)
        for word, start, end in zip(words, edges[:-1], edges[1:], strict=True)
    ]
