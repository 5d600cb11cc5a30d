"""Whose voice is in which of some given stretches: the second half of a pyannote pipeline.

What a pipeline's own segmentation would find (who speaks when within a chunk) is given; the voices
are embedded and clustered by the pipeline's own models, stretch by stretch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.utils.diarization import set_num_speakers
from pyannote.core import Segment, SlidingWindow, SlidingWindowFeature

from components.conversation import SpeakerSegment

FRAME = 0.01  # seconds: how finely it is told where others speak into a stretch
TRUSTED = 0.2  # of a chunk: what clustering asks of a voice (pyannote's `min_active_ratio`)


def speakers_of(
    pipeline: SpeakerDiarization,
    file: Mapping[str, Any],
    stretches: Sequence[Segment],
    num_speakers: int | None = None,
) -> list[SpeakerSegment]:
    """Tell whose voice is in each stretch.

    Clustering is shown each stretch as one chunk with one local speaker, active for as long as
    nobody else is; so it trusts voices as it does within the pipeline's own chunks.

    Args:
        pipeline: gives the embedding and the clustering; its segmentation is not used.
        file: the recording as pyannote takes it.
        stretches: one speaker each; they may overlap.
        num_speakers: how many there are, where it is known.

    Returns:
        The stretches, each with a speaker, ordered by start.
    """
    if not stretches:
        return []
    alone = [_alone(stretch, stretches) for stretch in stretches]
    voices = np.stack(
        [_voice(pipeline, file, *pair) for pair in zip(stretches, alone, strict=True)]
    )
    heard = _as_chunks(pipeline, stretches, alone)
    trusted = int((heard.data.mean(axis=(1, 2)) >= TRUSTED).sum())
    number, fewest, most = set_num_speakers(num_speakers and min(num_speakers, max(trusted, 1)))
    clusters, _, _ = pipeline.clustering(
        embeddings=voices[:, None],
        segmentations=heard,
        num_clusters=number,
        min_clusters=fewest,
        max_clusters=most,
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

    A stretch too short to embed is heard together with what is around it.
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
