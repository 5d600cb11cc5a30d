"""Ways to give recognised words to speakers, side by side for the benchmarks.

Each takes a recording's recognised segments and its speaker segments, and gives turns. Words of one
speaker are put together as `align` does: until another speaks or a pause is longer than 1.5 s.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Any

import pandas as pd

from components.align import align, align_baseline, flatten
from components.conversation import (
    UNKNOWN,
    AsrSegment,
    Seconds,
    SpeakerSegment,
    Turn,
    Word,
    join_words,
)
from components.scoring import WordSpeakers
from components.transcribe.sentences import sentences

System = Callable[[Sequence[AsrSegment], Sequence[SpeakerSegment], str], list[Turn]]

MAX_PAUSE: Seconds = 1.5
SENTENCE_ENDS = ".?!"
LONGEST_SENTENCE = 50
"""Words: whisper-diarization looks no further for a sentence's ends."""


def by_alignment(
    segments: Sequence[AsrSegment],
    speakers: Sequence[SpeakerSegment],
    name: str,
    **method: Any,
) -> list[Turn]:
    """`components.align`, by one of its methods."""
    return align(segments, speakers, session_id=name, max_pause=MAX_PAUSE, **method)


def by_sentence(
    segments: Sequence[AsrSegment], speakers: Sequence[SpeakerSegment], name: str
) -> list[Turn]:
    """Each sentence, whole, to the one who overlaps it most."""
    turns = align_baseline(sentences(segments), speakers, session_id=name, max_pause=MAX_PAUSE)
    return sorted(turns, key=lambda turn: turn.start)


def by_whisperx(
    segments: Sequence[AsrSegment], speakers: Sequence[SpeakerSegment], name: str
) -> list[Turn]:
    """WhisperX's own `assign_word_speakers`; a word that it leaves without is nobody's."""
    from whisperx.diarize import assign_word_speakers

    frame = pd.DataFrame([(s.start, s.end, s.speaker) for s in speakers],
                         columns=["start", "end", "speaker"])  # fmt: skip
    result = {
        "segments": [
            {"start": s.start, "end": s.end, "text": s.text}
            | {"words": [{"word": w.text, "start": w.start, "end": w.end} for w in s.words]}
            for s in segments
        ]
    }
    given = assign_word_speakers(frame, result)["segments"]
    owners = [word.get("speaker", UNKNOWN) for segment in given for word in segment["words"]]
    words = [word for segment in segments for word in segment.words]
    return _turns(words, owners, name)


def by_punctuation(
    segments: Sequence[AsrSegment], speakers: Sequence[SpeakerSegment], name: str
) -> list[Turn]:
    """As whisper-diarization does it (MahmoudAshraf97/whisper-diarization, `helpers.py`, BSD-2).

    A word goes to the speaker segment that it begins in, else to the next one, segments taken in
    order of start. Then, where the speaker changes within a sentence of at most 50 words, the whole
    sentence goes to the one who has most of its words, if that is at least half of them (rounded
    down). A last sentence without a full stop, on which theirs breaks off, stays as it is. Written
    anew after `get_words_speaker_mapping` and
    `get_realigned_ws_mapping_with_punctuation`; punctuation is the recogniser's, no model adds any.
    """
    words = flatten(segments)
    if not words or not speakers:
        return _turns(words, [UNKNOWN] * len(words), name)
    owners = _by_start(words, sorted(speakers))
    return _turns(words, realigned([word.text for word in words], owners), name)


METHODS: dict[str, dict[str, Any]] = {"overlap": {}, "evidence": {"method": "evidence"}}
"""Our own ways, each with what `align` is told; the first is what the others are held against."""

SYSTEMS: dict[str, System] = {
    **{name: partial(by_alignment, **told) for name, told in METHODS.items()},
    "sentences": by_sentence,
    "whisperx": by_whisperx,
    "punctuation": by_punctuation,
}
"""By name."""


COLUMNS: dict[str, Callable[[WordSpeakers], float | None]] = {
    "word-speaker error": lambda scores: scores.errors.rate,
    "changes: precision": lambda scores: scores.changes.precision,
    "recall": lambda scores: scores.changes.recall,
    "utterances whole": lambda scores: scores.whole.rate,
    "cpWER": lambda scores: scores.cpwer.rate,
    "tcpWER": lambda scores: scores.tcpwer.rate if scores.tcpwer else None,
}


def table(rows: Mapping[str, WordSpeakers]) -> list[str]:
    """Systems side by side, in per cent."""
    lines = [f"{'':<14}" + "".join(f"{name:>20}" for name in COLUMNS)]
    for system, scores in rows.items():
        rates = (rate(scores) for rate in COLUMNS.values())
        cells = ("–" if rate is None else f"{100 * rate:.2f}" for rate in rates)
        lines.append(f"{system:<14}" + "".join(f"{cell:>20}" for cell in cells))
    return lines


def others(scores: WordSpeakers) -> str:
    """All columns but the first, in one line."""
    rates = ((name, rate(scores)) for name, rate in list(COLUMNS.items())[1:])
    return ", ".join(f"{name} {'–' if rate is None else f'{rate:.3f}'}" for name, rate in rates)


def _by_start(words: Sequence[Word], speakers: Sequence[SpeakerSegment]) -> list[str]:
    """The speaker of the segment that each word begins in; the last one's when they are over.

    Times are whole milliseconds, as there.
    """
    ends = [int(s.start * 1000) + int((s.end - s.start) * 1000) for s in speakers]
    owners, at = [], 0
    for word in words:
        begins = int((word.start or 0.0) * 1000)
        while at < len(speakers) - 1 and begins > ends[at]:
            at += 1
        owners.append(speakers[at].speaker)
    return owners


def realigned(words: Sequence[str], owners: Sequence[str]) -> list[str]:
    """The speakers of words, once sentences in which they change are given to one.

    Args:
        words: with their punctuation.
        owners: the speaker of each.
    """
    owners = list(owners)
    ends = [word[-1] in SENTENCE_ENDS for word in words]
    last = len(words) - 1
    at = 0
    while at < last:
        if owners[at] != owners[at + 1] and not ends[at]:
            sentence = _sentence(at, owners, ends)
            if sentence is not None:
                inside = owners[sentence.start : sentence.stop]
                most = max(sorted(set(inside)), key=inside.count)
                if inside.count(most) >= len(inside) // 2:
                    owners[sentence.start : sentence.stop] = [most] * len(inside)
                    at = sentence.stop - 1
        at += 1
    return owners


def _sentence(at: int, owners: Sequence[str], ends: Sequence[bool]) -> range | None:
    """The sentence around a word; None where its ends are too far, or its start is another's."""
    first = at
    while (
        first > 0
        and at - first < LONGEST_SENTENCE
        and owners[first - 1] == owners[first]
        and not ends[first - 1]
    ):
        first -= 1
    if first > 0 and not ends[first - 1]:
        return None
    left = LONGEST_SENTENCE - (at - first) - 1
    last = at
    while last < len(ends) and last - at < left and not ends[last]:
        last += 1
    if last != len(ends) - 1 and not (last < len(ends) and ends[last]):
        return None
    return range(first, last + 1)


def _turns(words: Sequence[Word], owners: Sequence[str], name: str) -> list[Turn]:
    """Turns of words in order, each with its speaker."""
    breaks = [0]
    for (one, owner), (other, next_owner) in pairwise(zip(words, owners, strict=True)):
        pause = (other.start or 0.0) - (one.end or 0.0)
        breaks.append(breaks[-1] + (owner != next_owner or round(pause, 6) > MAX_PAUSE))
    turns = []
    for _, run in groupby(zip(breaks, words, owners, strict=False), key=lambda one: one[0]):
        _, own, (speaker, *_) = zip(*run, strict=True)
        start, end = own[0].start or 0.0, max(word.end or 0.0 for word in own)
        turns.append(Turn(name, start, max(start, end), speaker, join_words(own)))
    return sorted(turns, key=lambda turn: turn.start)
