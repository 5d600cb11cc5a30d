"""Segments cut where sentences end, as WhisperX's own alignment leaves them."""

from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from components.conversation import AsrSegment, Seconds, Word, join_words

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

ABBREVIATIONS = frozenset({"mr", "mrs", "ms", "dr", "st", "prof", "e.g", "i.e", "vs", "etc"})
"""What nltk's own rules, which would have to be downloaded, know of English titles and the like."""


@cache
def _splitter() -> "PunktSentenceTokenizer":
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    parameters = PunktParameters()
    parameters.abbrev_types = set(ABBREVIATIONS)
    return PunktSentenceTokenizer(parameters)


def sentences(segments: Iterable[AsrSegment]) -> list[AsrSegment]:
    """Cut segments where sentences end.

    The recogniser's segments are up to 30 s long, as the voice activity detector cuts them, and
    several people may speak in one. A sentence's bounds are those of its words that have times;
    one without any lies between its neighbours. ::

        segment    |how are you? fine, thanks.|
        sentences  |how are you?|fine, thanks.|

    >>> words = tuple(Word(text, None, None) for text in "Dr. Lee? Yes, please.".split())
    >>> [sentence.text for sentence in sentences([AsrSegment(0.0, 3.0, "", words)])]
    ['Dr. Lee?', 'Yes, please.']

    Returns:
        As many words as came in, in their order.
    """
    return [sentence for segment in segments for sentence in _cut(segment)]


def _cut(segment: AsrSegment) -> list[AsrSegment]:
    groups = _groups([word.text for word in segment.words])
    if len(groups) < 2:
        return [segment]
    parts: list[AsrSegment] = []
    for number, (first, last) in enumerate(groups):
        words = segment.words[first:last]
        start, end = _span(words)
        if start is None or end is None:
            start = parts[-1].end if parts else segment.start
            following = (_span(segment.words[a:b])[0] for a, b in groups[number + 1 :])
            end = max(start, next((at for at in following if at is not None), segment.end))
        parts.append(AsrSegment(start, end, join_words(words), words))
    return parts


def _span(words: tuple[Word, ...]) -> tuple[Seconds | None, Seconds | None]:
    """From the first start to the last end, None where no word has one."""
    starts = [word.start for word in words if word.start is not None]
    ends = [word.end for word in words if word.end is not None]
    return min(starts, default=None), max(ends, default=None)


def _groups(texts: list[str]) -> list[tuple[int, int]]:
    """The words of each sentence: from, to."""
    text = " ".join(texts)
    ends = {end for _, end in _splitter().span_tokenize(text)}
    borders, at = [0], -1
    for number, word in enumerate(texts, start=1):
        at += len(word) + 1
        if at in ends or number == len(texts):
            borders.append(number)
    return list(pairwise(borders))
