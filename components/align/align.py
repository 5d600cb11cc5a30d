"""Rules 3 and 4: words with speakers become turns; the whole alignment, and the baseline."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import numpy as np

from components.align.attribute import DIGITS, attribute
from components.align.flatten import flatten
from components.base import InputError, parse_json
from components.conversation import (
    EARLIEST,
    EXCLUSIVE,
    LATEST,
    TRANSCRIPTS,
    TURNS,
    AsrSegment,
    Document,
    Progress,
    Seconds,
    SpeakerSegment,
    Turn,
    Word,
    count_documents,
    join_words,
    parse_rttm,
    parse_words,
    read_documents,
    turns_text,
    write_documents,
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


def align_channels(
    segments: Sequence[AsrSegment], *, session_id: str, max_pause: Seconds = 1.5
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


def align_corpus(
    transcripts: Sequence[Path],
    speakers: Sequence[Path],
    out: Path,
    *,
    max_pause: Seconds = 1.5,
    baseline: bool = False,
    progress: Progress | None = None,
) -> int:
    """Align every recording of a corpus, in the order of the transcripts.

    Args:
        transcripts: files with documents of the kind `TRANSCRIPTS`, one for each shard of the
            corpus.
        speakers: their files with documents of the kind `EXCLUSIVE`, in the same order; a silent
            recording's may be empty.
        out: the file that gets a document of the kind `TURNS` for each; see `write_documents`.
        baseline: align without alignment, by `align_baseline`.

    Returns:
        How many recordings there were.

    Raises:
        InputError: no transcripts, one without its speakers, or a file that cannot be read.
    """
    join = align_baseline if baseline else align
    total = sum(map(count_documents, transcripts))
    if not total:
        raise InputError(f"{', '.join(map(str, transcripts))}: no transcripts in there")

    def turns() -> Iterator[Document]:
        for done, (name, words, spoken) in enumerate(_heard(transcripts, speakers), start=1):
            if _have_speakers(words):
                found = align_channels(words, session_id=name, max_pause=max_pause)
            else:
                found = join(words, spoken, session_id=name, max_pause=max_pause)
            yield Document(name, TURNS, turns_text(found))
            if progress:
                progress(done, total)

    return write_documents(out, turns())


def _heard(
    transcripts: Sequence[Path], speakers: Sequence[Path]
) -> Iterator[tuple[str, list[AsrSegment], list[SpeakerSegment]]]:
    """Each recording's name, words and speaker segments."""
    for words_path, rttm_path in zip(transcripts, speakers, strict=True):
        spoken = read_documents(rttm_path, EXCLUSIVE)
        for name, text in read_documents(words_path, TRANSCRIPTS):
            other, rttm = next(spoken, ("", ""))
            if other != name:
                reason = f"its place is that of {other}" if other else "it has none"
                raise InputError(f"{rttm_path}: no speakers of {name}: {reason}; diarize again")
            by_recording = parse_rttm(rttm, f"{rttm_path}: {name}")
            if by_recording.keys() - {name}:
                raise InputError(f"{rttm_path}: {name}: is of {', '.join(sorted(by_recording))}")
            location = f"{words_path}: {name}"
            words = parse_words(parse_json(text, location), location)
            yield name, words, by_recording.get(name, [])


def _have_speakers(segments: Sequence[AsrSegment]) -> bool:
    """Whether every word says who spoke it: it was heard on its speaker's channel."""
    return all(word.speaker for segment in segments for word in segment.words)


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
