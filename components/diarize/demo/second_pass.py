"""A second look at who speaks: each stretch of speech is embedded again, whole.

A segmentation model takes two voices within one chunk for one where they are alike, or where more
speak than it can tell apart. A stretch between two pauses is mostly one person's. So it goes to
the speaker that it sounds most like.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from pyannote.core import Annotation, Segment

from components.diarize.demo.clustering import unit

MIN_SECONDS = 0.6  # a voice cannot be recognised in a shorter stretch
MAX_OVERLAP = 0.25  # share of a stretch that others may talk into
MIN_MARGIN = 0.1  # in cosine: how much more alike another speaker must be


def embedded_again(
    pipeline: SpeakerDiarization,
    file: Any,
    output: DiarizeOutput,
    *,
    centred: bool,
    step: Callable[[], None] | None = None,
) -> DiarizeOutput:
    """Give each stretch to the speaker whose voice it has.

    Args:
        pipeline: that made `output`; its embedding is used.
        file: the recording as pyannote takes it.
        centred: compare voices from their common mean.
        step: called before each stretch is embedded, of which an hour has hundreds; what it raises
            ends the work.
    """
    output = _without_nobody(output)
    means = output.speaker_embeddings
    assert means is not None  # it is with pyannote's oracle clustering only
    labels = output.speaker_diarization.labels()
    if len(labels) < 2:
        return output
    centre = means.mean(axis=0) if centred else np.zeros(means.shape[1])
    speakers = dict(zip(labels, unit(means - centre), strict=True))
    voices: dict[Segment, np.ndarray] = {}

    def voice(turn: Segment) -> np.ndarray:
        if turn not in voices:
            if step:
                step()
            waveform, _ = pipeline._audio.crop(file, turn, mode="pad")
            voices[turn] = unit(pipeline._embedding(waveform[None])[0] - centre)
        return voices[turn]

    reassigned = _reassigned(output.speaker_diarization, speakers, voice)
    left = [labels.index(label) for label in reassigned.labels()]
    return DiarizeOutput(
        reassigned,
        _reassigned(output.exclusive_speaker_diarization, speakers, voice),
        means[left],
    )


def _without_nobody(output: DiarizeOutput) -> DiarizeOutput:
    """Take out speakers without a voice.

    Where the segmentation hears two at once and clustering knows one, pyannote makes a second one
    of a moment's length, whose embedding is zero.
    """
    means = output.speaker_embeddings
    assert means is not None
    heard: list[bool] = (means != 0).any(axis=1).tolist()
    if all(heard) or not any(heard):
        return output
    labels = output.speaker_diarization.labels()
    speakers = [label for label, has_voice in zip(labels, heard, strict=True) if has_voice]
    return DiarizeOutput(
        output.speaker_diarization.subset(speakers),
        output.exclusive_speaker_diarization.subset(speakers),
        means[heard],
    )


def _reassigned(
    annotation: Annotation,
    speakers: Mapping[str, np.ndarray],
    voice: Callable[[Segment], np.ndarray],
) -> Annotation:
    """Give each stretch to the speaker whose mean embedding is most like its own."""
    result, overlap = Annotation(uri=annotation.uri), annotation.get_overlap()
    for turn, track, label in annotation.itertracks(yield_label=True):
        result[turn, track] = label
        disturbed = overlap.crop(turn).duration()
        if turn.duration < MIN_SECONDS or disturbed > MAX_OVERLAP * turn.duration:
            continue
        likeness = {speaker: float(voice(turn) @ mean) for speaker, mean in speakers.items()}
        best = max(speakers, key=lambda speaker: likeness[speaker])
        if likeness[best] > likeness[label] + MIN_MARGIN:
            result[turn, track] = best
    return result
