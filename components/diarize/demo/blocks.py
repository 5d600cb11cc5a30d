"""pyannote's diarization in little memory: long recordings are worked on block by block.

Each of its steps copies what all chunks say as float64, several times over. Here the steps take
some chunks at a time, with the same answers to the bit; only the clustering of more than
`MAX_EMBEDDINGS` embeddings is another.
"""

from collections.abc import Iterator

import numpy as np
from pyannote.audio.pipelines.clustering import AgglomerativeClustering
from pyannote.audio.utils.signal import binarize
from pyannote.core import SlidingWindow, SlidingWindowFeature

BLOCK = 128
"""So many chunks are worked on at once."""

MAX_EMBEDDINGS = 1500
"""So many embeddings are clustered at most, evenly spread over the recording; the others go to the
nearest cluster. Memory and time grow with the square of their number."""


class Scores(SlidingWindowFeature):
    """How surely each local speaker speaks, [chunks, frames, local speakers], 0 to 1."""


@binarize.register
def _binarized(
    scores: Scores,
    onset: float = 0.5,
    offset: float | None = None,
    initial_state: bool | None = None,
) -> SlidingWindowFeature:
    """pyannote's hysteresis thresholding, as bytes."""
    spoken = np.empty(scores.data.shape, dtype=np.uint8)
    for first, block in blocks(scores, BLOCK):
        spoken[first : first + BLOCK] = binarize(block, onset, offset, initial_state).data
    return SlidingWindowFeature(spoken, scores.sliding_window)


def blocks(chunks: SlidingWindowFeature, size: int) -> Iterator[tuple[int, SlidingWindowFeature]]:
    """A feature's chunks, `size` at a time, each block with the number of its first chunk."""
    window = chunks.sliding_window
    for first in range(0, len(chunks.data), size):
        start = window.start + first * window.step
        at = SlidingWindow(start=start, duration=window.duration, step=window.step)
        yield first, SlidingWindowFeature(chunks.data[first : first + size], at)


class BoundedClustering(AgglomerativeClustering):
    """pyannote's agglomerative clustering of at most `MAX_EMBEDDINGS` embeddings.

    A cluster needs as many of them as ever (`min_cluster_size`), so a voice of a few moments in
    hours may go to another.
    """

    def filter_embeddings(
        self,
        embeddings: np.ndarray,
        segmentations: SlidingWindowFeature | None = None,
        min_active_ratio: float = 0.2,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As of `BaseClustering`: embeddings [n, size], their chunks [n] and local speakers [n]."""
        kept = super().filter_embeddings(embeddings, segmentations, min_active_ratio)
        if len(kept[0]) <= MAX_EMBEDDINGS:
            return kept
        spread = np.linspace(0, len(kept[0]) - 1, MAX_EMBEDDINGS).astype(int)
        trusted, chunk, speaker = (part[spread] for part in kept)
        return trusted, chunk, speaker
