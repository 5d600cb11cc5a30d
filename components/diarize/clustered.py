"""Local speakers of overlapping chunks as clusters: what each chunk hears of each voice."""

from collections.abc import Iterator

import numpy as np
from pyannote.core import Segment, SlidingWindowFeature


class Clustered(SlidingWindowFeature):
    """What each chunk hears of each cluster: the surest of its local speakers that belong to it.

    It is made as one goes through the chunks, as pyannote's `Inference.aggregate` does: all of it,
    float32 [chunks, frames, clusters], would be a hundred megabytes of two hours.

    Args:
        segmentations: [chunks, frames, local speakers].
        clusters: int [chunks, local speakers], -2 for those who are silent.
        missing: what stands where no local speaker belongs to a cluster.
    """

    def __init__(
        self, segmentations: SlidingWindowFeature, clusters: np.ndarray, missing: float
    ) -> None:
        shape = (*segmentations.data.shape[:2], int(clusters.max()) + 1)
        super().__init__(np.broadcast_to(np.float32(missing), shape), segmentations.sliding_window)
        self._segmentations, self._clusters, self._missing = segmentations, clusters, missing

    def __iter__(self) -> Iterator[tuple[Segment, np.ndarray]]:
        """Each chunk and its [frames, clusters], of which nothing is kept."""
        shape = self.data.shape[1:]
        chunks = zip(self._clusters, self._segmentations.data, strict=True)
        for number, (own, scores) in enumerate(chunks):
            heard = np.full(shape, self._missing, dtype=np.float32)
            for cluster in np.unique(own[own >= 0]):
                heard[:, cluster] = scores[:, own == cluster].max(axis=1)
            yield self.sliding_window[number], heard
