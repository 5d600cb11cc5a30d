"""When each word of a known text is spoken: what the aligners share.

An aligner is given a stretch of audio and the words spoken in it, and returns a time for each
word, or None for one it cannot place. It never changes the words: words in = words out.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

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


Aligner = Callable[[np.ndarray, Sequence[str]], list[WordTime | None]]
"""Places words, all of them spoken in the audio (mono, 16 kHz), in order. It raises an
`AlignmentError` where it cannot be done."""


def add_word_times(
    audio: np.ndarray,
    segments: Sequence[AsrSegment],
    aligners: Sequence[Aligner],
    step: Callable[[float], None] | None = None,
) -> list[AsrSegment]:
    """Give the words of each segment their times.

    The aligners are tried in turn on each segment; where all fail, its words stay without times.

    Args:
        audio: the recording, mono at 16 kHz.
        segments: as recognised, in order, their words without times.
        aligners: the best first.
        step: called after each segment with the share that is done; it may raise to end the work.

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
        sound = audio[int(start * SAMPLE_RATE) : int(max(end, start) * SAMPLE_RATE)]
        result.append(_aligned(sound, start, segment, aligners))
        if step:
            step(len(result) / len(segments))
    return result


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


def shifted(segment: AsrSegment, by: Seconds) -> AsrSegment:
    """The segment and its words, moved on by some seconds."""
    if not by:
        return segment

    def moved(part: AsrSegment | Word) -> dict[str, Any]:
        times = {"start": part.start, "end": part.end}
        return {edge: round(time + by, 3) for edge, time in times.items() if time is not None}

    words = tuple(replace(word, **moved(word)) for word in segment.words)
    return replace(segment, **moved(segment), words=words)
