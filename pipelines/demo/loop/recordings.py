"""The recordings that the loop sends to the service."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.config import LabelStep, Profile
from components.conversation import Recording
from pipelines.demo.acoustics import record_elsewhere


@dataclass(frozen=True, slots=True)
class LoopRecordings:
    """The recordings that the loop sends.

    Attributes:
        normal: the validation and test part of the corpus, unchanged.
        corrected: the training part under other acoustic conditions. Their answers are corrected.
        held_out: the validation and test part under other acoustic conditions. Nobody corrects
            their answers, and nothing is trained on them.
        tested: the names of the test part's recordings.
    """

    normal: tuple[Recording, ...]
    corrected: tuple[Recording, ...]
    held_out: tuple[Recording, ...]
    tested: frozenset[str]


def prepare_recordings(corpus: Path, profile: Profile, folder: Path) -> LoopRecordings:
    """Read the corpus, and write its recordings under other acoustic conditions into a folder.

    The profile's protocol says which fold belongs to which part.
    """
    from components.corpus import read_corpus

    parts: dict[str, list[Recording]] = {
        "training": [],
        "validation": [],
        "test": [],
        "holdout": [],
    }
    for recording in read_corpus(corpus, labels=LabelStep.of(profile)):
        parts[profile.protocol.part(recording.name, recording.fold)].append(recording)
    normal = (*parts["validation"], *parts["test"])

    def changed(recordings: Sequence[Recording], name: str) -> tuple[Recording, ...]:
        return tuple(record_elsewhere(r, folder / name) for r in recordings)

    return LoopRecordings(
        normal=normal,
        corrected=changed(parts["training"], "corrected"),
        held_out=changed(normal, "held-out"),
        tested=frozenset(recording.name for recording in parts["test"]),
    )
