"""What is odd in a corpus that can be read: one line each, for a person to look at."""

from collections import Counter
from collections.abc import Iterator, Sequence

from components.conversation import DEFAULT_LABELS, FEEDBACK, Recording, Seconds, Utterance

STANDARD = {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084}
"""IEMOCAP's standard set of 5,531 utterances: 595 happy and 1,041 excited are its happy."""

SESSIONS, DIALOGUES = 5, 151
"""Of the whole IEMOCAP."""

ROUNDING: Seconds = 0.01
"""Two utterances of one speaker may overlap by this much: times are often rounded."""


def self_overlaps(recording: Recording) -> Iterator[tuple[Utterance, Utterance]]:
    """Utterances that overlap another of the same speaker, after the one they overlap.

    A voice says one thing at a time. Where two utterances overlap, scores count the time twice::

        A   |---- u1 ----|
        A            |---- u2 ----|
    """
    latest: dict[str, Utterance] = {}
    for utterance in sorted(recording.utterances, key=lambda u: (u.start, u.end)):
        before = latest.get(utterance.speaker, utterance)
        if before is not utterance and utterance.start < before.end - ROUNDING:
            yield before, utterance
        latest[utterance.speaker] = max(before, utterance, key=lambda u: u.end)


def overlap_line(first: Utterance, second: Utterance) -> str:
    """Two utterances of `self_overlaps` in words."""
    return (
        f"{second.speaker} begins utterance {second.id} at {second.start:.2f} s, within their"
        f" utterance {first.id}, which ends at {first.end:.2f} s"
    )


def _without_length(recordings: Sequence[Recording]) -> list[str]:
    return [
        f"{recording.name}: utterance {u.id} ends where it begins, at {u.start:.2f} s"
        for recording in recordings
        for u in recording.utterances
        if u.end == u.start
    ]


def iemocap_findings(recordings: Sequence[Recording]) -> list[str]:
    """What is odd in IEMOCAP.

    A whole copy has the class counts of the standard set. Overlapping annotations are reported, not
    refused: others' results are measured on what is distributed.
    """
    findings = _without_length(recordings) + [
        f"{recording.name}: {overlap_line(*pair)}"
        for recording in recordings
        for pair in self_overlaps(recording)
    ]
    sessions = {recording.fold for recording in recordings}
    if (len(sessions), len(recordings)) != (SESSIONS, DIALOGUES):
        return findings
    counts = _labels(recordings)
    return findings + [
        f"IEMOCAP has {STANDARD[emotion]:,} {emotion} utterances, this copy {counts[emotion]:,}:"
        f" {abs(counts[emotion] - STANDARD[emotion]):,}"
        f" {'more' if counts[emotion] > STANDARD[emotion] else 'fewer'}"
        for emotion in STANDARD
        if counts[emotion] != STANDARD[emotion]
    ]


def manifest_findings(
    recordings: Sequence[Recording], emotions: Sequence[str] = DEFAULT_LABELS
) -> list[str]:
    """What is odd in a manifest whose utterances should have these emotions."""
    labels, findings = _labels(recordings), _without_length(recordings)
    if missing := _missing(labels, emotions):
        others = ", ".join(sorted(labels.keys() - set(emotions))) or "none"
        return [*findings, f"no utterance is {missing}; labels that are not scored: {others}"]
    folds = sorted({recording.fold for recording in recordings} - {FEEDBACK})
    lacking = {
        fold: _missing(_labels([r for r in recordings if r.fold == fold]), emotions)
        for fold in folds
    }
    return findings + [
        f"fold {fold} has no {missing} utterance" for fold, missing in lacking.items() if missing
    ]


def _labels(recordings: Sequence[Recording]) -> Counter[str]:
    return Counter(u.emotion for recording in recordings for u in recording.utterances)


def _missing(labels: Counter[str], emotions: Sequence[str]) -> str:
    return " or ".join(emotion for emotion in emotions if not labels[emotion])
