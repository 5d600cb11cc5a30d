"""A pyannote pipeline on a reference's stretches of speech, in place of its own segmentation.

The stretches say when somebody speaks; the pipeline's own model embeds the voice in each. Where
the number of speakers is given, Ward's clustering tells the voices apart, seen from their common
mean: a pipeline's own is made for many short chunks of each voice, and takes a loud utterance or
two for a speaker. Where it is not given, the pipeline's own clustering finds it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.utils.diarization import set_num_speakers
from pyannote.core import Segment, SlidingWindow, SlidingWindowFeature
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.preprocessing import normalize

from components.conversation import Seconds, SpeakerSegment

FRAME: Seconds = 0.01
"""Overlap with other stretches is marked in frames of this length."""


def speakers_of(
    pipeline: SpeakerDiarization,
    file: Mapping[str, Any],
    stretches: Sequence[Segment],
    num_speakers: int | None = None,
    min_speakers: int | None = None,
    max_speakers: int | None = None,
) -> list[SpeakerSegment]:
    """Find whose voice is in each stretch.

    Args:
        pipeline: gives the embedding, and the clustering where `num_speakers` is not known; its
            segmentation is not used.
        file: the recording as pyannote takes it.
        stretches: one speaker each; they may overlap.
        num_speakers, min_speakers, max_speakers: how many there are, as far as it is known; limits
            that are equal say it.

    Returns:
        The stretches, each with a speaker, ordered by start.
    """
    if not stretches:
        return []
    alone = [_alone(stretch, stretches) for stretch in stretches]
    pairs = zip(stretches, alone, strict=True)
    voices = np.stack([_voice(pipeline, file, *pair) for pair in pairs])
    number, least, most = set_num_speakers(num_speakers, min_speakers, max_speakers)
    owners = (
        _clustered(pipeline, stretches, voices, alone, (least, most))
        if number is None
        else among(voices, number)
    )
    return sorted(
        SpeakerSegment(stretch.start, stretch.end, f"SPEAKER_{owner:02d}")
        for stretch, owner in zip(stretches, owners.tolist(), strict=True)
    )


def among(voices: np.ndarray, num_speakers: int) -> np.ndarray:
    """Divide voices among a known number of speakers.

    Args:
        voices: [stretches, size], embeddings that are compared by cosine. NaN: a voice that could
            not be embedded; it goes to the speaker of the stretch before it.

    Returns:
        int [stretches], the speaker of each, from 0 on; as many as there are voices at most.
    """
    heard = np.isfinite(voices).all(axis=1)
    owners = np.zeros(len(voices), dtype=int)
    if heard.sum() > 1:
        known = normalize(voices[heard])
        tree = linkage(normalize(known - known.mean(axis=0)), method="ward")
        owners[heard] = fcluster(tree, num_speakers, "maxclust") - 1
    latest = np.maximum.accumulate(np.where(heard, np.arange(len(voices)), -1))
    return owners[np.where(latest < 0, heard.argmax(), latest)]


def _clustered(
    pipeline: SpeakerDiarization,
    stretches: Sequence[Segment],
    voices: np.ndarray,
    alone: Sequence[np.ndarray],
    limits: tuple[int, float],
) -> np.ndarray:
    """The speaker of each stretch by the pipeline's own clustering, which finds their number within
    limits: the least and the most.

    It sees each stretch as one chunk with one local speaker, who is active while nobody else is;
    so it trusts voices as it does within the pipeline's own chunks.
    """
    clusters, *_ = pipeline.clustering(
        embeddings=voices[:, None],
        segmentations=_as_chunks(pipeline, stretches, alone),
        num_clusters=None,
        min_clusters=limits[0],
        max_clusters=limits[1],
    )
    return np.unique(clusters[:, 0], return_inverse=True)[1]


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
