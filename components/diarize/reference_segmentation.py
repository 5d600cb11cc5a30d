"""A pyannote pipeline on a reference's stretches of speech, in place of its own segmentation.

The stretches say when somebody speaks. The pipeline's own models embed and cluster the voices,
stretch by stretch, and so say who.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.utils.diarization import set_num_speakers
from pyannote.core import Segment, SlidingWindow, SlidingWindowFeature

from components.conversation import Seconds, SpeakerSegment

FRAME: Seconds = 0.01
"""Overlap with other stretches is marked in frames of this length."""

MIN_ACTIVE_RATIO = 0.2
"""The share of a chunk in which a voice must speak to be clustered (pyannote's name and value)."""


def speakers_of(
    pipeline: SpeakerDiarization,
    file: Mapping[str, Any],
    stretches: Sequence[Segment],
    num_speakers: int | None = None,
) -> list[SpeakerSegment]:
    """Find whose voice is in each stretch.

    Clustering sees each stretch as one chunk with one local speaker, who is active while nobody
    else is; so it trusts voices as it does within the pipeline's own chunks.

    Args:
        pipeline: gives the embedding and the clustering; its segmentation is not used.
        file: the recording as pyannote takes it.
        stretches: one speaker each; they may overlap.

    Returns:
        The stretches, each with a speaker, ordered by start.
    """
    if not stretches:
        return []
    alone = [_alone(stretch, stretches) for stretch in stretches]
    pairs = zip(stretches, alone, strict=True)
    voices = np.stack([_voice(pipeline, file, *pair) for pair in pairs])
    segmentation = _as_chunks(pipeline, stretches, alone)
    trusted = int((segmentation.data.mean(axis=(1, 2)) >= MIN_ACTIVE_RATIO).sum())
    number, minimum, maximum = set_num_speakers(num_speakers and min(num_speakers, max(trusted, 1)))
    limits = {"num_clusters": number, "min_clusters": minimum, "max_clusters": maximum}
    clusters, *_ = pipeline.clustering(
        embeddings=voices[:, None], segmentations=segmentation, **limits
    )
    _, owners = np.unique(clusters[:, 0], return_inverse=True)
    return sorted(
        SpeakerSegment(stretch.start, stretch.end, f"SPEAKER_{owner:02d}")
        for stretch, owner in zip(stretches, owners.tolist(), strict=True)
    )


def _alone(stretch: Segment, stretches: Sequence[Segment]) -> np.ndarray:
    """Whether nobody else speaks, for each frame of a stretch: float32 [frames], 0 or 1."""
    mask = np.ones(max(1, round(stretch.duration / FRAME)), dtype=np.float32)
    for other in stretches:
        if other != stretch and other.intersects(stretch):
            shared = other & stretch
            first, last = ((time - stretch.start) / FRAME for time in shared)
            mask[round(first) : round(last)] = 0
    return mask


def _voice(
    pipeline: SpeakerDiarization, file: Mapping[str, Any], stretch: Segment, alone: np.ndarray
) -> np.ndarray:
    """The embedding [size] of the voice in a stretch; without overlap, where the pipeline wants it.

    A stretch too short to embed is embedded together with what is around it.
    """
    embedding = pipeline._embedding
    shortest = embedding.min_num_samples / embedding.sample_rate
    masks = None
    if stretch.duration <= shortest:
        stretch = Segment(stretch.middle - shortest, stretch.middle + shortest)
    elif pipeline.embedding_exclude_overlap and alone.sum() * FRAME > shortest:
        masks = torch.from_numpy(alone)[None]
    waveform, _ = pipeline._audio.crop(file, stretch, mode="pad")
    return embedding(waveform[None], masks=masks)[0]


def _as_chunks(
    pipeline: SpeakerDiarization, stretches: Sequence[Segment], alone: Sequence[np.ndarray]
) -> SlidingWindowFeature:
    """The stretches as a segmentation [stretches, frames, 1], as clustering takes it.

    A chunk is as long as the pipeline's, or as the longest stretch where all are shorter.
    """
    chunk = min(pipeline._segmentation.duration, max(s.duration for s in stretches))
    frames = max(1, round(chunk / FRAME))
    active = np.zeros((len(stretches), frames, 1))
    for row, mask in zip(active, alone, strict=True):
        row[: max(1, int(mask.sum()))] = 1  # in none at all clustering would see nobody
    return SlidingWindowFeature(active, SlidingWindow(start=0, duration=chunk, step=chunk))
