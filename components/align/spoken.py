"""Rules 1 and 2, by either method: the stream of words, and whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from components.align.attribute import attribute
from components.align.boundaries import cut_ends
from components.align.evidence import attribute_by_evidence
from components.align.flatten import flatten, segment_starts
from components.align.pauses import DEFAULT, Auto
from components.conversation import AsrSegment, Seconds, SpeakerSegment, Word

Method = Literal["overlap", "evidence"]

DECIMALS = 4
"""Of a confidence."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording's words in the order of speech, and whose they are.

    Attributes:
        words: as `flatten` gives them.
        starts: seconds, [words].
        ends: seconds, [words]; with the method "evidence" they may be earlier than the words' own.
        speakers: a label for each word.
        confidence: float [words], how probable that label is; None where it is not known.
    """

    words: Sequence[Word]
    starts: np.ndarray
    ends: np.ndarray
    speakers: Sequence[str]
    confidence: np.ndarray | None = None


def attributed(
    segments: Sequence[AsrSegment],
    speakers: Sequence[SpeakerSegment],
    max_pause: Seconds | Auto,
    method: Method,
) -> Spoken:
    """The words of all segments, and whose they are; the arguments are those of `align`.

    Raises:
        InputError: there are more than `MAX_VOICES` speakers.
    """
    words = flatten(segments)
    starts, ends = edges(words)
    if method == "overlap":
        reach = DEFAULT if max_pause == "auto" else max_pause
        owners = attribute(starts, ends, speakers, max_pause=reach)
        return Spoken(words, starts, ends, owners)
    ends = cut_ends(starts, ends, speakers)
    texts, begins = [word.text for word in words], segment_starts(segments)
    owners, confidence = attribute_by_evidence(texts, starts, ends, begins, speakers)
    return Spoken(words, starts, ends, owners, confidence)


def words_with_speakers(
    segments: Sequence[AsrSegment],
    speakers: Sequence[SpeakerSegment],
    *,
    max_pause: Seconds | Auto = 1.5,
    method: Method = "overlap",
) -> list[Word]:
    """All words in the order of speech, each with its times and the speaker who says it.

    The arguments are those of `align`.
    """
    spoken = attributed(segments, speakers, max_pause, method)
    sure = mean_confidence(spoken.confidence, np.arange(len(spoken.words)))
    return [
        replace(word, end=end, speaker=speaker, speaker_confidence=certain)
        for word, end, speaker, certain in zip(
            spoken.words, spoken.ends.tolist(), spoken.speakers, sure, strict=True
        )
    ]


def mean_confidence(confidence: np.ndarray | None, firsts: np.ndarray) -> Sequence[float | None]:
    """Of the words of each turn; None where it is not known.

    Args:
        confidence: float [words].
        firsts: the position of each turn's first word, [turns].
    """
    if confidence is None or not len(firsts):
        return [None] * len(firsts)
    counts = np.diff(np.r_[firsts, len(confidence)])
    return np.round(np.add.reduceat(confidence, firsts) / counts, DECIMALS).tolist()


def edges(stretches: Sequence[Word] | Sequence[AsrSegment]) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends in seconds, each of shape [stretches]."""
    starts, ends = ([getattr(s, edge) for s in stretches] for edge in ("start", "end"))
    return np.array(starts, dtype=float), np.array(ends, dtype=float)
