"""What is in a corpus."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from components.base import Cache, Location, file_digest, json_digest, located
from components.config import LabelStep
from components.conversation import (
    FEEDBACK,
    Progress,
    Recording,
    Seconds,
    licence_of,
    measure,
    read_audio,
)
from components.corpus.findings import iemocap_findings, manifest_findings
from components.corpus.labels import unknown_labels
from components.corpus.reader import is_manifest, read_corpus

SILENT = 1e-3
"""A clip whose samples are all below this, −60 dB of full scale, holds no speech."""

NOT_KNOWN = "unknown"
"""What a manifest's column or a reference does not say."""


@dataclass(frozen=True, slots=True)
class Part:
    """The utterances of one set, language and fold, by emotion."""

    set: str
    language: str
    fold: str
    emotions: dict[str, int]


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """A corpus that was read without fault, to the last sample.

    Attributes:
        recordings, utterances: how many.
        emotions: utterances of each emotion, those that are not scored among them.
        folds: utterances of each fold.
        speakers: utterances of each speaker.
        sexes: utterances of women ("F"), men ("M"), and "unknown".
        sets, languages, licences: utterances of each, by the manifest's columns.
        speakers_in_several_folds: how many; what is measured on one of the folds flatters.
        seconds: of sound.
        utterance_seconds: summed over the utterances.
        overlap_seconds: in which utterances of two or more speakers overlap.
        digest: of all sound and labels; it does not depend on where the corpus lies.
        synthetic: whether it has a `voices.json`, which names a synthesiser's voices.
        parts: the utterances by set, language, fold and emotion.
        findings: what is odd in it, a line each; see `components.corpus.findings`.
    """

    recordings: int
    utterances: int
    emotions: dict[str, int]
    folds: dict[str, int]
    speakers: dict[str, int]
    sexes: dict[str, int]
    sets: dict[str, int]
    languages: dict[str, int]
    licences: dict[str, int]
    speakers_in_several_folds: int
    seconds: Seconds
    utterance_seconds: Seconds
    overlap_seconds: Seconds
    digest: str
    synthetic: bool
    parts: tuple[Part, ...]
    findings: tuple[str, ...]


def check_corpus(
    folder: Location | str,
    progress: Progress | None = None,
    cache: Cache | None = None,
    labels: LabelStep | None = None,
) -> CorpusReport:
    """Read a whole corpus and count what is in it.

    Args:
        folder: as `read_corpus` takes it.
        progress: called after each recording.
        cache: keeps how long recordings are, and objects' digests.
        labels: of the profile that is to be trained by; None takes the default ones, and does not
            refuse others.

    Raises:
        InputError: it has a fault; see `read_corpus` and `measure`.
        Unavailable: the object store does not answer.
    """
    folder = located(folder)
    recordings = read_corpus(folder, cache)
    utterances = [u for recording in recordings for u in recording.utterances]
    seconds, notes = 0.0, []
    for number, recording in enumerate(recordings, start=1):
        length = measure(recording.audio, cache)
        seconds += length.seconds
        notes += [f"{recording.name}: {note}" for note in length.notes]
        if len(recording.utterances) == 1 and is_silent(read_audio(recording.audio)):
            notes.append(f"{recording.audio}: holds no speech: no sample is louder than −60 dB")
        if progress:
            progress(number, len(recordings))
    step = labels or LabelStep()
    own = recordings if labels is None else read_corpus(folder, cache, labels)
    if is_manifest(folder):
        findings = [*manifest_findings(own, step.labels), *unknown_labels(recordings, step)]
    else:
        findings = iemocap_findings(recordings)
    return CorpusReport(
        recordings=len(recordings),
        utterances=len(utterances),
        emotions=_counts(u.emotion for recording in own for u in recording.utterances),
        folds=_counts(r.fold for r in recordings for _ in r.utterances),
        speakers=_counts(u.speaker for u in utterances),
        sexes=_counts(u.sex or NOT_KNOWN for u in utterances),
        sets=_counts(_column(r, "set") for r in recordings for _ in r.utterances),
        languages=_counts(_column(r, "language") for r in recordings for _ in r.utterances),
        licences=_counts(licence_of(r) for r in recordings for _ in r.utterances),
        speakers_in_several_folds=_in_several_folds(recordings),
        seconds=round(seconds, 3),
        utterance_seconds=round(sum(u.end - u.start for u in utterances), 3),
        overlap_seconds=round(sum(overlap_seconds(r) for r in recordings), 3),
        digest=corpus_digest(recordings, cache),
        synthetic=(folder / "voices.json").is_file(),
        parts=_parts(own),
        findings=(*findings, *notes),
    )


def is_silent(samples: np.ndarray) -> bool:
    """Whether samples [n] are too quiet for speech."""
    return not len(samples) or bool(np.abs(samples).max() < SILENT)


def _counts(labels: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(labels).items()))


def _column(recording: Recording, name: str) -> str:
    return recording.column(name) or NOT_KNOWN


def _parts(recordings: Sequence[Recording]) -> tuple[Part, ...]:
    counts: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for recording in recordings:
        key = _column(recording, "set"), _column(recording, "language"), recording.fold
        counts[key].update(utterance.emotion for utterance in recording.utterances)
    return tuple(Part(*key, dict(sorted(counts[key].items()))) for key in sorted(counts))


def _in_several_folds(recordings: Sequence[Recording]) -> int:
    folds: dict[tuple[str, str], set[str]] = defaultdict(set)
    for recording in recordings:
        if recording.fold != FEEDBACK:
            for speaker in recording.speakers:
                folds[_column(recording, "set"), speaker].add(recording.fold)
    return sum(len(own) > 1 for own in folds.values())


def overlap_seconds(recording: Recording) -> Seconds:
    """The time in a recording in which utterances of two or more speakers overlap."""
    edges = sorted(
        edge
        for u in recording.utterances
        for edge in ((u.start, 1, u.speaker), (u.end, 0, u.speaker))
    )
    open_utterances: Counter[str] = Counter()
    total, since = 0.0, 0.0
    for time, begins, speaker in edges:
        if sum(count > 0 for count in open_utterances.values()) > 1:
            total += time - since
        open_utterances[speaker] += 1 if begins else -1
        since = time
    return total


def corpus_digest(recordings: list[Recording], cache: Cache | None = None) -> str:
    """A digest of all sound and labels; order and places of the files do not matter.

    Args:
        cache: keeps the digests of objects.
    """
    audio = {r.name: file_digest(r.audio, cache) for r in recordings}
    return json_digest(
        [
            [r.name, r.fold, r.scripted, audio[r.name], [astuple(u) for u in r.utterances]]
            for r in sorted(recordings, key=lambda r: r.name)
        ]
    )
