"""When each word of a known text is spoken: what the aligners share.

An aligner is given a stretch of audio and the words spoken in it, and returns a time for each
word, or None for one it cannot place. It never changes the words: words in = words out.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

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


class Aligner(Protocol):
    """Places words in audio."""

    def __call__(self, audio: np.ndarray, words: Sequence[str]) -> list[WordTime | None]:
        """Place `words`, all of them spoken in `audio` (mono, 16 kHz), in order.

        Raises:
            AlignmentError: it cannot be done.
        """
        ...


def add_word_times(
    audio: np.ndarray, segments: Sequence[AsrSegment], aligners: Sequence[Aligner]
) -> list[AsrSegment]:
    """Give the words of each segment their times.

    The aligners are tried in turn on each segment; where all fail, its words stay without times.

    Args:
        audio: the recording, mono at 16 kHz.
        segments: as recognised, in order, their words without times.
        aligners: the best first.

    Returns:
        The same segments with the same words; a segment's bounds cover its words.
    """
    result = []
    for number, segment in enumerate(segments):
        low = segments[number - 1].end if number else 0.0
        high = segments[number + 1].start if number + 1 < len(segments) else float("inf")
        # Segments may overlap where their bounds were given: none is cut short for its neighbour.
        low, high = min(low, segment.start), max(high, segment.end)
        start = max(segment.start - REACH, (low + segment.start) / 2, 0.0)
        end = min(segment.end + REACH, (high + segment.end) / 2, len(audio) / SAMPLE_RATE)
        result.append(_aligned(audio, segment, (start, max(end, start)), aligners))
    return result


def _aligned(
    audio: np.ndarray,
    segment: AsrSegment,
    stretch: tuple[Seconds, Seconds],
    aligners: Sequence[Aligner],
) -> AsrSegment:
    start, end = stretch
    sound = audio[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)]
    texts = [word.text for word in segment.words]
    for aligner in aligners:
        try:
            times = aligner(sound, texts)
        except AlignmentError as error:
            log.info(
                "words of %.2f–%.2f s: %s failed: %s",
                segment.start,
                segment.end,
                type(aligner).__name__,
                error,
            )
            continue
        words = tuple(
            word if time is None else _timed(word, time, start)
            for word, time in zip(segment.words, times, strict=True)
        )
        spans = [w for w in words if w.start is not None and w.end is not None]
        return replace(
            segment,
            start=min([segment.start, *(w.start for w in spans if w.start is not None)]),
            end=max([segment.end, *(w.end for w in spans if w.end is not None)]),
            words=words,
        )
    log.warning("words of %.2f–%.2f s could not be placed", segment.start, segment.end)
    return segment


def _timed(word: Word, time: WordTime, offset: Seconds) -> Word:
    score = word.score if time.score is None else round(float(time.score), 3)
    return replace(
        word,
        start=round(float(time.start + offset), 3),
        end=round(float(time.end + offset), 3),
        score=score,
    )


def shifted(segment: AsrSegment, by: Seconds) -> AsrSegment:
    """The segment and its words, moved on by some seconds."""
    if not by:
        return segment
    words = tuple(
        replace(
            word,
            start=None if word.start is None else round(word.start + by, 3),
            end=None if word.end is None else round(word.end + by, 3),
        )
        for word in segment.words
    )
    start, end = round(segment.start + by, 3), round(segment.end + by, 3)
    return replace(segment, start=start, end=end, words=words)
