"""A corpus' turns, made with one of the three methods, and the examples that they give."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from components.align import align_corpus
from components.base import file_digest, json_digest
from components.config import Profile, Settings
from components.conversation import (
    SPEAKERS,
    TURNS,
    Recording,
    Turn,
    parse_turns,
    parse_turns_from_rttm,
    read_documents,
)
from components.label import label_corpus
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
        work: a folder to work in; transcripts (`<segmentation>/words.parquet`) and speaker segments
            (`<segmentation>/speakers.parquet`) that it holds already are taken as they are.
    """
    from components.diarize import diarize_corpus
    from components.transcribe import transcribe_corpus

    profile = method.profile(profile)
    speech = work / profile.segmentation
    words, speakers = speech / "words.parquet", speech / "speakers.parquet"
    if not words.is_file():
        transcribing = partial(progress, f"transcribe ({method.label})")
        transcribe_corpus(recordings, words, profile, settings, transcribing)
    if not speakers.is_file():
        diarizing = partial(progress, f"diarize ({method.label})")
        heard = words if profile.hears_again else None
        diarize_corpus(recordings, speakers, profile, settings, diarizing, transcripts=heard)
    turns, examples = work / method / "turns.parquet", work / method / "examples.parquet"
    align_corpus([words], [speakers], turns, **profile.align.model_dump())
    labelled = label_corpus(turns, recordings, examples, profile.labels)
    texts, spoken = dict(read_documents(turns, TURNS)), dict(read_documents(speakers, SPEAKERS))
    digests = [hashlib.sha256(texts[r.name].encode()).hexdigest() for r in recordings]
    return CorpusTurns(
        turns={r.name: parse_turns(texts[r.name], f"{turns}: {r.name}") for r in recordings},
        spoken=[t for r in recordings for t in parse_turns_from_rttm(spoken[r.name], r.name)],
        examples=examples,
        labelled=dict(labelled),
        digest=json_digest([*digests, file_digest(examples)]),
    )
