"""When each word of a known text is spoken: what the aligners share.

An aligner is given a stretch of audio and the words spoken in it, and returns a time for each
word, or None for one it cannot place. It never changes the words: words in = words out.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from components.base import spent_on
from components.conversation import SAMPLE_RATE, AsrSegment, Seconds, Word

log = logging.getLogger(__name__)

REACH: Seconds = 0.2
"""How far beyond a segment words are looked for: the voice activity detector cuts closely."""


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word's place in the stretch that was aligned, in seconds from its beginning."""

    start: Seconds
    end: Seconds
    score: float | None = None


class AlignmentError(Exception):
    """The aligner could not place this text in this audio."""


Aligner = Callable[[np.ndarray, Sequence[str]], list[WordTime | None]]
"""Places words, all of them spoken in the audio (mono, 16 kHz), in order. It raises an
`AlignmentError` where it cannot be done."""


def add_word_times(
    audio: np.ndarray, segments: Iterable[AsrSegment], aligners: Sequence[Aligner]
) -> Iterator[AsrSegment]:
    """Give the words of each segment their times.

    The aligners are tried in turn on each segment; where all fail, its words stay without times.

    Args:
        audio: the recording, mono at 16 kHz.
        segments: as recognised, in order, their words without times; one more is taken than is
            given back, because a segment's neighbours bound where its words are looked for.
        aligners: the best first.

    Yields:
        The same segments with the same words; a segment's bounds cover its words.
    """
    before: AsrSegment | None = None
    current: AsrSegment | None = None
    for following in chain(segments, [None]):
        if current is not None:
            low = before.end if before else 0.0
            high = following.start if following else float("inf")
            yield _placed(audio, current, (low, high), aligners)
        before, current = current, following


def _placed(
    audio: np.ndarray,
    segment: AsrSegment,
    room: tuple[Seconds, Seconds],
    aligners: Sequence[Aligner],
) -> AsrSegment:
    """A segment with its words' times; `room` is from the end of the one before to the start of the
    one behind."""
    # Segments may overlap where their bounds were given: none is cut short for its neighbour.
    low, high = min(room[0], segment.start), max(room[1], segment.end)
    start = max(segment.start - REACH, (low + segment.start) / 2, 0.0)
    end = min(segment.end + REACH, (high + segment.end) / 2, len(audio) / SAMPLE_RATE)
    sound = audio[int(start * SAMPLE_RATE) : int(max(end, start) * SAMPLE_RATE)]
    with spent_on("word_times"):
        return _aligned(sound, start, segment, aligners)


def _aligned(
    sound: np.ndarray, start: Seconds, segment: AsrSegment, aligners: Sequence[Aligner]
) -> AsrSegment:
    texts = [word.text for word in segment.words]
    stretch = f"words of {segment.start:.2f}–{segment.end:.2f} s"
    for aligner in aligners:
        try:
            times = aligner(sound, texts)
        except AlignmentError as error:
            log.info("%s: %s failed: %s", stretch, type(aligner).__name__, error)
            continue
        words = tuple(
            word if time is None else _timed(word, time, start)
            for word, time in zip(segment.words, times, strict=True)
        )
        first = min([segment.start, *(word.start for word in words if word.start is not None)])
        last = max([segment.end, *(word.end for word in words if word.end is not None)])
        return replace(segment, start=first, end=last, words=words)
    log.warning("%s could not be placed", stretch)
    return segment


def _timed(word: Word, time: WordTime, offset: Seconds) -> Word:
    start, end = (round(float(edge + offset), 3) for edge in (time.start, time.end))
    score = word.score if time.score is None else round(float(time.score), 3)
    return replace(word, start=start, end=end, score=score)
