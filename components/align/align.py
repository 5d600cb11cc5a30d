"""Rules 3 and 4: words with speakers become turns; the whole alignment, and the baseline."""

from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import numpy as np

from components.align.attribute import DIGITS, attribute
from components.align.flatten import flatten
from components.base import InputError, atomic_path
from components.conversation import (
    AsrSegment,
    Progress,
    Seconds,
    SpeakerSegment,
    Turn,
    Word,
    join_words,
    read_rttm,
    read_words,
    write_turns,
)

SHORTEST: Seconds = 0.001
"""A turn of one instant lasts this long: captions have a length above zero."""


def align(
    segments: Sequence[AsrSegment],
    speakers: Sequence[SpeakerSegment],
    *,
    session_id: str,
    max_pause: Seconds = 1.5,
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

    Returns:
        Turns ordered by start.
    """
    words = flatten(segments)
    if not words:
        return []
    starts, ends = _edges(words)
    owners = attribute(starts, ends, speakers, max_pause=max_pause)
    speaker_of = np.array(owners)
    pauses = np.round(starts[1:] - ends[:-1], DIGITS)
    breaks = (speaker_of[1:] != speaker_of[:-1]) | (pauses > round(max_pause, DIGITS))
    firsts = np.r_[0, np.flatnonzero(breaks) + 1]
    bounds = pairwise([*firsts.tolist(), len(words)])
    spans = zip(starts[firsts].tolist(), np.maximum.reduceat(ends, firsts).tolist(), strict=True)
    turns = [
        _turn(session_id, start, end, owners[first], words[first:last])
        for (first, last), (start, end) in zip(bounds, spans, strict=True)
    ]
    return sorted(turns, key=attrgetter("start"))  # recognised segments may overlap


def align_baseline(
    segments: Sequence[AsrSegment],
    speakers: Sequence[SpeakerSegment],
    *,
    session_id: str,
    max_pause: Seconds = 1.5,
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
    owners = attribute(*_edges(whole), speakers, max_pause=max_pause)
    return [
        _turn(session_id, segment.start, segment.end, owner, segment.words)
        for segment, owner in zip(whole, owners, strict=True)
    ]


def align_folder(
    transcripts: Sequence[Path],
    speakers: Sequence[Path],
    out: Path,
    *,
    max_pause: Seconds = 1.5,
    baseline: bool = False,
    progress: Progress | None = None,
) -> None:
    """Align every recording of a corpus.

    Args:
        transcripts: folders of `<recording>.json`, one for each shard of the corpus.
        speakers: their folders of `<recording>.rttm`; a silent recording's may be empty.
        out: a folder to write `<recording>.json` (SegLST) into, whole or not at all.
        baseline: align without alignment, by `align_baseline`.

    Raises:
        InputError: no transcripts, one without its speakers, or a file that cannot be read.
    """
    join = align_baseline if baseline else align
    pairs = [
        (path, rttm / f"{path.stem}.rttm")
        for transcript, rttm in zip(transcripts, speakers, strict=True)
        for path in sorted(transcript.glob("*.json"))
    ]
    if not pairs:
        raise InputError(f"{', '.join(map(str, transcripts))}: no transcripts (*.json) in there")
    with atomic_path(out) as temporary:
        temporary.mkdir()
        for done, (path, rttm) in enumerate(pairs, start=1):
            by_recording = read_rttm(rttm)
            if by_recording.keys() - {path.stem}:
                raise InputError(f"{rttm}: is of {', '.join(sorted(by_recording))}")
            words, segments = read_words(path), by_recording.get(path.stem, [])
            turns = join(words, segments, session_id=path.stem, max_pause=max_pause)
            write_turns(temporary / path.name, turns)
            if progress:
                progress(done, len(pairs))


def _edges(stretches: Sequence[Word] | Sequence[AsrSegment]) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends in seconds, each of shape [stretches]."""
    starts, ends = ([getattr(s, edge) for s in stretches] for edge in ("start", "end"))
    return np.array(starts, dtype=float), np.array(ends, dtype=float)


def _turn(
    session_id: str, start: Seconds, end: Seconds, speaker: str, words: Sequence[Word]
) -> Turn:
    """Rule 4: words joined by spaces, or by nothing in languages written without them."""
    scores = [word.score for word in words if word.score is not None]
    confidence = sum(scores) / len(scores) if scores else None
    end = max(end, start + SHORTEST)
    return Turn(session_id, start, end, speaker, join_words(words), asr_confidence=confidence)
