"""Rule 1: one stream of words, every one with times, none lost."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter

from components.conversation import AsrSegment, Seconds, Word


def flatten(segments: Sequence[AsrSegment]) -> list[Word]:
    """All words of all segments: segments by start, then end; a segment's words in their order.

    A recogniser's times are off by some hundredths of a second, and its segments may overlap, so
    order by time alone would mix up sentences. Words without times share the gap between their
    timed neighbours evenly::

        timed        |ab|              |cd|
        untimed         | one |two |three|

    Where a segment has no neighbour on a side, its own bound stands for it. A start or an end that
    is known without the other bounds the gap. A gap that is not there, as when neighbours overlap,
    leaves its words as instants.

    >>> words = (Word("ab", 0.0, 1.0), Word("one", None, None), Word("two", None, None))
    >>> for word in flatten([AsrSegment(0.0, 2.0, "ab one two", words)]):
    ...     print(word.text, word.start, word.end)
    ab 0.0 1.0
    one 1.0 1.5
    two 1.5 2.0

    Returns:
        As many words as came in, each with start and end in seconds.
    """
    ordered = sorted(segments, key=attrgetter("start", "end"))
    return [word for segment in ordered for word in _timed(segment)]


def _timed(segment: AsrSegment) -> Sequence[Word]:
    """The segment's words in spoken order, missing times filled in."""
    words = segment.words
    if not any(_untimed(word) for word in words):
        return words
    result: list[Word] = []
    for first, last in _groups(words):
        group: Sequence[Word] = words[first:last]
        if _untimed(group[0]):
            before = result[-1].end if result else None
            after = words[last].start if last < len(words) else None
            group = _share(group, before, after, segment)
        result += group
    return result


def _untimed(word: Word) -> bool:
    return word.start is None or word.end is None


def _groups(words: Sequence[Word]) -> Iterator[tuple[int, int]]:
    """From and to of each timed word, and of each run of words that share one gap.

    Inside a run only the first may have a start, and only the last an end.
    """
    first = 0
    for last in range(1, len(words) + 1):
        word = words[last - 1]
        ends = last == len(words) or word.end is not None or words[last].start is not None
        if ends or not _untimed(word):
            yield first, last
            first = last


def _share(
    words: Sequence[Word], before: Seconds | None, after: Seconds | None, segment: AsrSegment
) -> list[Word]:
    """Spread words evenly between what is known: their own bounds, the neighbours', the segment's.

    Args:
        words: a run of `_groups`.
        before: the end of the word before, None where there is none.
        after: the start of the word behind, None where there is none or it is not known.
        segment: that they are of.
    """
    start, end = words[0].start, words[-1].end
    high = end if end is not None else segment.end if after is None else after
    if start is not None:
        low = start
    elif before is not None:
        low = before
    else:
        low = min(segment.start, high)
    high = max(low, high)
    edges = [low + (high - low) * i / len(words) for i in range(len(words))] + [high]
    return [
        replace(word, start=start, end=end)
        for word, start, end in zip(words, edges[:-1], edges[1:], strict=True)
    ]
