"""Rules 1 and 2, by either method: the stream of words, and whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from components.align.attribute import attribute
from components.align.boundaries import cut_ends
from components.align.costs import AT_A_SEGMENT, change_costs
from components.align.evidence import attribute_by_evidence
from components.align.flatten import flatten, segment_starts
from components.align.pauses import DEFAULT, Auto
from components.conversation import AsrSegment, FrameScores, Seconds, SpeakerSegment, Word

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
    scores: FrameScores | None = None,
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
    owners, confidence = attribute_by_evidence(texts, starts, ends, begins, speakers, scores)
    return Spoken(words, starts, ends, owners, confidence)


def words_with_speakers(
    segments: Sequence[AsrSegment],
    speakers: Sequence[SpeakerSegment],
    *,
    max_pause: Seconds | Auto = 1.5,
    method: Method = "overlap",
    scores: FrameScores | None = None,
) -> list[Word]:
    """All words in the order of speech, each with its times and the speaker who says it.

    The arguments are those of `align`.
    """
    spoken = attributed(segments, speakers, max_pause, method, scores)
    sure = mean_confidence(spoken.confidence, np.arange(len(spoken.words)))
    return [
        replace(word, end=end, speaker=speaker, speaker_confidence=certain)
        for word, end, speaker, certain in zip(
            spoken.words, spoken.ends.tolist(), spoken.speakers, sure, strict=True
        )
    ]


def sentences(
    segments: Sequence[AsrSegment],
    speakers: Sequence[SpeakerSegment],
    scores: FrameScores | None = None,
) -> list[tuple[Seconds, Seconds, float]]:
    """Stretches in which one person speaks, as a rule: from one place at which a change of speaker
    costs little (a full stop, a pause, another recognised segment) to the next.

    >>> words = (Word("Who?", 0.0, 0.8), Word("Me.", 1.2, 1.5), Word("So", 1.6, 1.8))
    >>> segments = [AsrSegment(0.0, 1.8, "Who? Me. So", words)]
    >>> [stretch[:2] for stretch in sentences(segments, [SpeakerSegment(0.0, 2.0, "A")])]
    [(0.0, 0.8), (1.2, 1.5), (1.6, 1.8)]

    Returns:
        Of each its start, its end, and how sure the speakers of its words are, by evidence.
    """
    spoken = attributed(segments, speakers, DEFAULT, "evidence", scores)
    if not spoken.words or spoken.confidence is None:
        return []
    texts = [word.text for word in spoken.words]
    costs = change_costs(texts, spoken.starts, spoken.ends, segment_starts(segments))
    firsts = np.union1d(0, np.flatnonzero(costs <= AT_A_SEGMENT))
    ends = np.maximum.reduceat(spoken.ends, firsts)
    sure = np.add.reduceat(spoken.confidence, firsts) / np.diff(np.r_[firsts, len(texts)])
    return list(zip(spoken.starts[firsts].tolist(), ends.tolist(), sure.tolist(), strict=True))


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
