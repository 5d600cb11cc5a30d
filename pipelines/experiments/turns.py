"""A corpus' turns, made one of the three ways, and the examples that they give."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.align import align_folder
from components.base import file_digest, json_digest
from components.config import Profile, Settings
from components.conversation import (
    EXCLUSIVE,
    Progress,
    Recording,
    Turn,
    read_turns,
    turns_from_rttm,
)
from components.label import label_folder
from pipelines.experiments.systems import Way

StageProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class CorpusTurns:
    """A corpus' turns, made one way.

    Attributes:
        turns: of each recording.
        spoken: the speaker segments that they were made from, overlap kept, as turns of no words.
        examples: the Parquet file of labelled turns.
        labelled: how many turns of each emotion it has.
        digest: of turns and labels.
    """

    turns: dict[str, list[Turn]]
    spoken: list[Turn]
    examples: Path
    labelled: dict[str, int]
    digest: str


def make_turns(
    way: Way,
    recordings: Sequence[Recording],
    profile: Profile,
    settings: Settings,
    work: Path,
    progress: StageProgress,
) -> CorpusTurns:
    """Transcribe, diarize, align and label a corpus.

    Transcripts and speaker segments come from the caches where they are there.

    Args:
        way: how.
        recordings: the corpus.
        profile: names the models.
        settings: where models and caches lie.
        work: a folder to work in; transcripts (`<segmentation>/words`) and speaker segments
            (`<segmentation>/speakers`) that it holds already are taken as they are. Both ways of
            giving words to speakers get the same ones.
        progress: called as work goes on.
    """
    from components.diarize import diarize_corpus
    from components.transcribe import transcribe_corpus

    profile = way.profile(profile)
    speech = work / profile.segmentation
    words, speakers, own = speech / "words", speech / "speakers", work / way
    transcribe_corpus(recordings, words, profile, settings, _part(progress, "transcribe", way))
    diarize_corpus(recordings, speakers, profile, settings, _part(progress, "diarize", way))
    align_folder(
        [words],
        [speakers / EXCLUSIVE],
        own / "turns",
        max_pause=profile.align.max_pause,
        baseline=profile.align.baseline,
    )
    examples = own / "examples.parquet"
    labelled = label_folder(own / "turns", recordings, examples)
    paths = [own / "turns" / f"{recording.name}.json" for recording in recordings]
    return CorpusTurns(
        turns={path.stem: read_turns(path) for path in paths},
        spoken=[t for r in recordings for t in turns_from_rttm(speakers / f"{r.name}.rttm")],
        examples=examples,
        labelled=dict(labelled),
        digest=json_digest([*(file_digest(path) for path in paths), file_digest(examples)]),
    )


def _part(progress: StageProgress, what: str, way: Way) -> Progress:
    return lambda done, total: progress(f"{what} ({way.label})", done, total)
