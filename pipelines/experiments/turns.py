"""A corpus' turns, made with one of the three methods, and the examples that they give."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from components.align import align_folder
from components.base import file_digest, json_digest
from components.config import Profile, Settings
from components.conversation import EXCLUSIVE, Recording, Turn, read_turns, turns_from_rttm
from components.label import label_folder
from pipelines.experiments.systems import TurnMethod

StageProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class CorpusTurns:
    """A corpus' turns, made with one method.

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
    method: TurnMethod,
    recordings: Sequence[Recording],
    profile: Profile,
    settings: Settings,
    work: Path,
    progress: StageProgress,
) -> CorpusTurns:
    """Transcribe, diarize, align and label a corpus.

    Transcripts and speaker segments come from the caches where they are there, and are the same
    with and without alignment.

    Args:
        work: a folder to work in; transcripts (`<segmentation>/words`) and speaker segments
            (`<segmentation>/speakers`) that it holds already are taken as they are.
    """
    from components.diarize import diarize_corpus
    from components.transcribe import transcribe_corpus

    profile = method.profile(profile)
    speech = work / profile.segmentation
    words, speakers, turns = speech / "words", speech / "speakers", work / method / "turns"
    transcribing = partial(progress, f"transcribe ({method.label})")
    transcribe_corpus(recordings, words, profile, settings, transcribing)
    diarizing = partial(progress, f"diarize ({method.label})")
    diarize_corpus(recordings, speakers, profile, settings, diarizing)
    pause, baseline = profile.align.max_pause, profile.align.baseline
    align_folder([words], [speakers / EXCLUSIVE], turns, max_pause=pause, baseline=baseline)
    examples = work / method / "examples.parquet"
    labelled = label_folder(turns, recordings, examples)
    paths = [turns / f"{recording.name}.json" for recording in recordings]
    return CorpusTurns(
        turns={path.stem: read_turns(path) for path in paths},
        spoken=[t for r in recordings for t in turns_from_rttm(speakers / f"{r.name}.rttm")],
        examples=examples,
        labelled=dict(labelled),
        digest=json_digest([*(file_digest(path) for path in paths), file_digest(examples)]),
    )
