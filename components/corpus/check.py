"""What is in a corpus."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from components.base import Cache, Location, file_digest, json_digest, located
from components.conversation import Progress, Recording, Seconds, measure
from components.corpus.findings import iemocap_findings, manifest_findings
from components.corpus.reader import is_manifest, read_corpus


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """A corpus that was read without fault, to the last sample.

    Attributes:
        recordings, utterances: how many.
        emotions: utterances of each emotion, those that are not scored among them.
        folds: utterances of each fold.
        speakers: utterances of each speaker.
        seconds: of sound.
        utterance_seconds: summed over the utterances.
        overlap_seconds: in which utterances of two or more speakers overlap.
        digest: of all sound and labels; it does not depend on where the corpus lies.
        synthetic: whether it has a `voices.json`, which names a synthesiser's voices.
        findings: what is odd in it, a line each; see `components.corpus.findings`.
    """

    recordings: int
    utterances: int
    emotions: dict[str, int]
    folds: dict[str, int]
    speakers: dict[str, int]
    seconds: Seconds
    utterance_seconds: Seconds
    overlap_seconds: Seconds
    digest: str
    synthetic: bool
    findings: tuple[str, ...]


def check_corpus(
    folder: Location | str, progress: Progress | None = None, cache: Cache | None = None
) -> CorpusReport:
    """Read a whole corpus and count what is in it.

    Args:
        folder: as `read_corpus` takes it.
        progress: called after each recording.
        cache: keeps how long recordings are, and objects' digests.

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
        if progress:
            progress(number, len(recordings))
    findings = manifest_findings if is_manifest(folder) else iemocap_findings
    return CorpusReport(
        recordings=len(recordings),
        utterances=len(utterances),
        emotions=_counts(u.emotion for u in utterances),
        folds=_counts(r.fold for r in recordings for _ in r.utterances),
        speakers=_counts(u.speaker for u in utterances),
        seconds=round(seconds, 3),
        utterance_seconds=round(sum(u.end - u.start for u in utterances), 3),
        overlap_seconds=round(sum(overlap_seconds(r) for r in recordings), 3),
        digest=corpus_digest(recordings, cache),
        synthetic=(folder / "voices.json").is_file(),
        findings=(*findings(recordings), *notes),
    )


def _counts(labels: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(labels).items()))


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
