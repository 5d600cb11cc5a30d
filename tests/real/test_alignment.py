"""To whom whole meetings' words go: ways to align, side by side, by four published diarizations.

The words are people's, with true times (`ami/replay`): what a way to align gets wrong is its own
fault and the diarization's. Words of people who speak at once are all there, as no recogniser would
give them; of these the first is kept (`heard`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from components.conversation import (
    AsrSegment,
    Seconds,
    SpeakerSegment,
    Turn,
    Word,
    join_words,
    read_rttm,
    read_words,
)
from components.scoring import WordSpeakers, word_speakers
from tests.real.data import RealData
from tests.real.report import Number, Report
from tests.word_systems import METHODS, SYSTEMS, others

DIARIZATIONS = {"vb": "VB", "sc": "spectral", "rpn": "RPN", "doverlap": "DOVER-Lap"}
JITTER: Seconds = 0.1
STRIPPED = "punctuation stripped"


@dataclass(frozen=True)
class Meeting:
    """A meeting's words, and who spoke them.

    Attributes:
        reference: a turn for each word.
        utterances: the utterance that each of them is of.
        segments: the same words as one recogniser's stream.
        speakers: by diarization.
    """

    name: str
    reference: list[Turn]
    utterances: list[int]
    segments: list[AsrSegment]
    speakers: dict[str, list[SpeakerSegment]]


def heard(spoken: list[tuple[int, Word]]) -> list[tuple[int, Word]]:
    """Words in order of start, without those more than half of which lies within an earlier kept
    word of somebody else."""
    kept: list[tuple[int, Word]] = []
    longest = max((w.end - w.start for _, w in spoken), default=0.0)
    for number, word in sorted(spoken, key=lambda one: (one[1].start, one[1].end)):
        covered = False
        for _, other in reversed(kept):
            if other.start < word.start - longest:
                break
            shared = min(word.end, other.end) - max(word.start, other.start)
            if other.speaker != word.speaker and shared > (word.end - word.start) / 2:
                covered = True
                break
        if not covered:
            kept.append((number, word))
    return kept


def read_meeting(data: RealData, name: str) -> Meeting:
    truth = read_words(data.replay / "truth_words" / f"{name}.json")
    words = heard([(i, word) for i, segment in enumerate(truth) for word in segment.words])
    known = {(word.start, word.end, word.text) for _, word in words}
    stream = read_words(data.replay / "words_without_speakers" / f"{name}.json")
    segments = [
        replace(segment, words=kept, text=join_words(kept))
        for segment in stream
        if (kept := tuple(w for w in segment.words if (w.start, w.end, w.text) in known))
    ]
    assert sum(len(segment.words) for segment in segments) == len(words)
    return Meeting(
        name,
        [Turn(name, w.start, w.end, str(w.speaker), w.text) for _, w in words],
        [number for number, _ in words],
        segments,
        {
            system: read_rttm(data.replay / f"rttm_{system}" / f"{name}.rttm")[name]
            for system in DIARIZATIONS
        },
    )


def as_they_are(segments: list[AsrSegment]) -> list[AsrSegment]:
    return segments


def jittered(segments: list[AsrSegment]) -> list[AsrSegment]:
    """Each word moved by a random time of this deviation; words stay in their order."""
    random = np.random.default_rng(0)
    return [_with_words(s, [_moved(word, random.normal(0, JITTER)) for word in s.words])
            for s in segments]  # fmt: skip


def _moved(word: Word, by: Seconds) -> Word:
    start = max(0.0, word.start + by)
    return replace(word, start=start, end=max(start, word.end + by))


def unpunctuated(segments: list[AsrSegment]) -> list[AsrSegment]:
    return [_with_words(s, [replace(word, text=word.text.strip(".,?!;:") or word.text)
                            for word in s.words]) for s in segments]  # fmt: skip


def _with_words(segment: AsrSegment, words: list[Word]) -> AsrSegment:
    start, end = min(w.start for w in words), max(w.end for w in words)
    return AsrSegment(start, end, join_words(words), tuple(words))


CONDITIONS: dict[str, Callable[[list[AsrSegment]], list[AsrSegment]]] = {
    "words as they are": as_they_are,
    f"word times jittered by {JITTER} s": jittered,
    STRIPPED: unpunctuated,
}


def test_alignment(data: RealData, report: Report) -> None:
    if not data.replay.is_dir():
        note = f"not measured: {data.replay} is not there"
        report.add(
            Number("words to speakers, AMI's meetings", "word-speaker error", None, note=note)
        )
        return
    names = sorted(path.stem for path in (data.replay / "truth_words").glob("*.json"))
    meetings = [read_meeting(data, name) for name in names]
    for condition, changed in CONDITIONS.items():
        streams = {meeting.name: changed(meeting.segments) for meeting in meetings}
        for diarization, shown in DIARIZATIONS.items():
            section = f"words to speakers, {len(meetings)} AMI meetings, {shown}, {condition}"
            rows = {}
            for name, system in SYSTEMS.items():
                counted = (
                    word_speakers(
                        m.reference,
                        system(streams[m.name], m.speakers[diarization], m.name),
                        m.utterances,
                    )
                    for m in meetings
                )
                rows[name] = sum(counted, start=WordSpeakers.zero())
                errors = rows[name].errors
                number = f"word-speaker error, {name}"
                report.add(
                    Number(section, number, errors.rate, better="low", note=others(rows[name]))
                )
                assert 0 < errors.errors < errors.length
            for name in list(METHODS)[1:]:
                for number in gains(section, rows["overlap"], rows[name], condition):
                    report.add(number)


def gains(section: str, one: WordSpeakers, other: WordSpeakers, condition: str) -> Iterator[Number]:
    """What a method of ours reaches above `overlap`, beside what it must reach."""
    fewer = 1 - other.errors.errors / one.errors.errors
    least = 0.04 if condition == STRIPPED else 0.06
    yield Number(section, "share of overlap's word-speaker errors mended", fewer, target=least)
    precision = (other.changes.precision or 0.0) - (one.changes.precision or 0.0)
    yield Number(section, "precision of changes, above overlap's", precision, target=0.1)
    recall = (other.changes.recall or 0.0) - (one.changes.recall or 0.0)
    yield Number(section, "recall of changes, above overlap's", recall, target=-0.05)
