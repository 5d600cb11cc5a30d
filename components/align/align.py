"""Rules 3 and 4: words with speakers become turns; the whole alignment, and the baseline."""

from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter

import numpy as np

from components.align.attribute import attribute
from components.align.pauses import DEFAULT, Auto, usual_pause
from components.align.speech import DIGITS
from components.align.spoken import Method, attributed, edges, mean_confidence
from components.conversation import (
    EARLIEST,
    LATEST,
    AsrSegment,
    FrameScores,
    Seconds,
    SpeakerSegment,
    Turn,
    Word,
    join_words,
)

SHORTEST: Seconds = 0.001
"""A turn of one instant lasts this long: captions have a length above zero."""


def align(
    segments: Sequence[AsrSegment],
    speakers: Sequence[SpeakerSegment],
    *,
    session_id: str,
    max_pause: Seconds | Auto = 1.5,
    method: Method = "overlap",
    scores: FrameScores | None = None,
) -> list[Turn]:
    """Turns of a recording (`session_id` is its name) from its words and its speaker segments.

    A new turn begins where the speaker changes, or where the pause from the end of the previous
    word to the start of the next exceeds `max_pause` (a pause of exactly that still belongs).
    Every word that comes in is in exactly one turn.

    >>> words = (Word("Hello,", 0.0, 0.4), Word("who", 0.5, 0.7), Word("Me.", 1.2, 1.5))
    >>> turns = align(
    ...     [AsrSegment(0.0, 1.5, "Hello, who Me.", words)],
    ...     [SpeakerSegment(0.0, 0.8, "A"), SpeakerSegment(1.1, 1.6, "B")],
    ...     session_id="call",
    ... )
    >>> [(turn.speaker, turn.words) for turn in turns]
    [('A', 'Hello, who'), ('B', 'Me.')]

    Args:
        max_pause: "auto" takes what is usual in the recording, see `usual_pause`.
        method: "overlap" gives each word to the one who speaks longest inside it; "evidence" takes
            sentences, pauses and the neighbouring words into account, cuts ends of words that were
            stretched over silence, and says how sure it is, see `attribute_by_evidence`.
        scores: what the diarizer heard in each frame: "evidence" takes them into account.

    Returns:
        Turns ordered by start.
    """
    spoken = attributed(segments, speakers, max_pause, method, scores)
    words, owners = spoken.words, spoken.speakers
    if not words:
        return []
    starts, ends = spoken.starts, spoken.ends
    speaker_of = np.array(owners)
    same = speaker_of[1:] == speaker_of[:-1]
    pauses = np.round(starts[1:] - ends[:-1], DIGITS)
    longest = usual_pause(pauses[same]) if max_pause == "auto" else max_pause
    firsts = np.r_[0, np.flatnonzero(~same | (pauses > round(longest, DIGITS))) + 1]
    bounds = pairwise([*firsts.tolist(), len(words)])
    spans = zip(starts[firsts].tolist(), np.maximum.reduceat(ends, firsts).tolist(), strict=True)
    sure = mean_confidence(spoken.confidence, firsts)
    turns = [
        _turn(
            session_id,
            start,
            end,
            owners[first],
            words[first:last],
            certain,
        )
        for (first, last), (start, end), certain in zip(bounds, spans, sure, strict=True)
    ]
    return sorted(turns, key=attrgetter("start"))  # recognised segments may overlap


def align_baseline(
    segments: Sequence[AsrSegment],
    speakers: Sequence[SpeakerSegment],
    *,
    session_id: str,
    max_pause: Seconds | Auto = 1.5,
) -> list[Turn]:
    """Without alignment: each recognised segment, whole, to the speaker who overlaps it most.

    Ties, and segments in nobody's speech, are settled as for words, so that the baseline is as
    strong as its definition allows. Segments without words give no turn.

    >>> words = (Word("Who?", 0.0, 0.8), Word("Me.", 1.2, 1.5))
    >>> turns = align_baseline(
    ...     [AsrSegment(0.0, 1.5, "Who? Me.", words)],
    ...     [SpeakerSegment(0.0, 0.8, "A"), SpeakerSegment(1.1, 1.6, "B")],
    ...     session_id="call",
    ... )
    >>> [(turn.speaker, turn.words) for turn in turns]
    [('A', 'Who? Me.')]
    """
    whole = sorted((s for s in segments if s.words), key=lambda s: (s.start, s.end))
    reach = DEFAULT if max_pause == "auto" else max_pause
    owners = attribute(*edges(whole), speakers, max_pause=reach)
    return [
        _turn(session_id, segment.start, segment.end, owner, segment.words)
        for segment, owner in zip(whole, owners, strict=True)
    ]


def align_channels(
    segments: Sequence[AsrSegment], *, session_id: str, max_pause: Seconds | Auto = 1.5
) -> list[Turn]:
    """Turns of a recording (`session_id` is its name) from words that say who spoke them.

    They were heard on their speaker's own channel. Each speaker's words by themselves, by the rules
    of `align`: so two who speak at once each have a turn.

    >>> yes = AsrSegment(0.5, 0.9, "Yes.", (Word("Yes.", 0.5, 0.9, speaker="CHANNEL_2"),))
    >>> so = AsrSegment(0.0, 1.0, "So", (Word("So", 0.0, 1.0, speaker="CHANNEL_1"),))
    >>> [(t.speaker, t.words) for t in align_channels([so, yes], session_id="call")]
    [('CHANNEL_1', 'So'), ('CHANNEL_2', 'Yes.')]

    Args:
        segments: the words of one segment are one speaker's.

    Returns:
        Turns ordered by start.
    """
    spoken: dict[str, list[AsrSegment]] = {}
    for segment in segments:
        for word in segment.words[:1]:
            spoken.setdefault(str(word.speaker), []).append(segment)
    turns: list[Turn] = []
    for speaker, own in spoken.items():
        always = [SpeakerSegment(EARLIEST, LATEST, speaker)]
        turns += align(own, always, session_id=session_id, max_pause=max_pause)
    return sorted(turns, key=attrgetter("start"))


def _turn(
    session_id: str,
    start: Seconds,
    end: Seconds,
    speaker: str,
    words: Sequence[Word],
    sure: float | None = None,
) -> Turn:
    """Rule 4: words joined by spaces, or by nothing in languages written without them."""
    scores = [word.score for word in words if word.score is not None]
    confidence = sum(scores) / len(scores) if scores else None
    end = max(end, start + SHORTEST)
    return Turn(
        session_id,
        start,
        end,
        speaker,
        join_words(words),
        asr_confidence=confidence,
        speaker_confidence=sure,
    )
