"""Rule 1: one stream of words, every one with times, none lost."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter

from components.conversation import AsrSegment, Word


def flatten(segments: Sequence[AsrSegment]) -> list[Word]:
    """All words of all segments, ordered by start, then end.

    Words without times share the gap between their timed neighbours evenly::

        timed        |ab|              |cd|
        untimed         | one |two |three|

    Where a segment has no neighbour on a side, its own bound stands for it. A gap that is not
    there, as when neighbours overlap, leaves its words as instants.

    >>> words = (Word("ab", 0.0, 1.0), Word("one", None, None), Word("two", None, None))
    >>> for word in flatten([AsrSegment(0.0, 2.0, "ab one two", words)]):
    ...     print(word.text, word.start, word.end)
    ab 0.0 1.0
    one 1.0 1.5
    two 1.5 2.0

    Returns:
        As many words as came in, each with start and end in seconds.
    """
    words = [word for segment in segments for word in _timed(segment)]
    return sorted(words, key=attrgetter("start", "end"))


def _timed(segment: AsrSegment) -> list[Word]:
    """The segment's words in spoken order, missing times filled in."""
    words = segment.words
    result: list[Word] = []
    at = 0
    for untimed, run in groupby(words, key=_untimed):
        group = list(run)
        if untimed:
            before = result[-1].end if result else None
            after = words[at + len(group)].start if at + len(group) < len(words) else None
            group = _share(group, before, after, segment)
        result += group
        at += len(group)
    return result


def _untimed(word: Word) -> bool:
    return word.start is None or word.end is None


def _share(
    words: list[Word], before: float | None, after: float | None, segment: AsrSegment
) -> list[Word]:
    """Spread words evenly from `before` to `after`, or the segment's bounds."""
    if before is not None:
        low, high = before, max(before, segment.end if after is None else after)
    else:
        high = segment.end if after is None else after
        low = min(segment.start, high)
    edges = [low + (high - low) * i / len(words) for i in range(len(words))] + [high]
    return [
        replace(word, start=start, end=end)
        for word, start, end in zip(words, edges[:-1], edges[1:], strict=True)
    ]
