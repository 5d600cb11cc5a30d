"""Whose voice is which: clustering of one recording's voices, seen from their common mean.

Voices recorded over one channel lie close together: on a telephone, two women's embeddings differ
less than a microphone's from a telephone's. Taking off the recording's mean leaves what differs
between its speakers, as score normalisation does for verification.
"""

from typing import Any

import numpy as np
from pyannote.audio.pipelines.clustering import BaseClustering
from pyannote.core import SlidingWindowFeature
from pyannote.pipeline.parameter import Uniform
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import silhouette_score

from components.diarize.demo.blocks import BLOCK, MAX_EMBEDDINGS

MAX_SPEAKERS = 10  # looked for where the number is not given


class CentredClustering(BaseClustering):
    """Ward's clustering of centred embeddings, which can tell how many speakers there are.

    Where the number of speakers is not given, it is the number of clusters that are best apart
    (silhouette) among those whose voices differ and who all say something.

    Hyper-parameters:
        same_voice: clusters whose mean embeddings are more alike than this (cosine) are one voice.
        min_speech: seconds of undisturbed speech that a speaker must have.
    """

    expects_num_clusters = False

    def __init__(self, metric: str = "cosine") -> None:
        super().__init__(metric=metric, constrained_assignment=True)
        self.same_voice = Uniform(0.0, 1.0)
        self.min_speech = Uniform(0.0, 10.0)

    def __call__(  # type: ignore[override]  # pyannote's annotation says one array, not three
        self,
        embeddings: np.ndarray,
        segmentations: SlidingWindowFeature | None = None,
        num_clusters: int | None = None,
        min_clusters: int | None = None,
        max_clusters: int | None = None,
        **_: Any,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give each chunk's local speakers their cluster.

        Args:
            embeddings: [chunks, local speakers, size], NaN where there is none.
            segmentations: [chunks, frames, local speakers], 0 or 1.
            num_clusters, min_clusters, max_clusters: speakers, as far as their number is known.

        Returns:
            The cluster of each [chunks, local speakers] (-2: none), how well each cluster fits
            [chunks, local speakers, clusters], and the clusters' mean embeddings [clusters, size].
        """
        assert segmentations is not None
        chunks, speakers, size = embeddings.shape
        known, seconds = self._trusted(embeddings, segmentations)
        one = np.zeros((chunks, speakers), dtype=np.int8), np.ones((chunks, speakers, 1))
        if len(known) == 0:
            return *one, np.zeros((1, size))
        mean = np.average(known, axis=0, weights=seconds)
        centred = unit(known - mean)
        limits = self.set_num_clusters(len(known), num_clusters, min_clusters, max_clusters)
        labels = self._cluster(known, centred, seconds, limits)
        means = _means(known, labels)
        if len(means) == 1:
            return *one, means
        towards = unit(_means(centred, labels)).T
        soft = np.empty((chunks, speakers, towards.shape[1]))
        for first in range(0, chunks, BLOCK):  # the whole in float64 is large
            part = slice(first, first + BLOCK)
            soft[part] = 1 + np.nan_to_num(unit(embeddings[part] - mean)) @ towards
        # two that the segmentation hears apart within one chunk are two people
        soft[segmentations.data.sum(axis=1) == 0] = -1.0
        return self.constrained_argmax(soft), soft, means

    def _trusted(
        self, embeddings: np.ndarray, segmentations: SlidingWindowFeature
    ) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of enough speech to be trusted [n, size], and the seconds behind each."""
        _, chunk, speaker = self.filter_embeddings(embeddings, segmentations)
        if len(chunk) < 2:
            chunk, speaker = np.nonzero(~np.isnan(embeddings).any(axis=2))
        share = max(len(chunk) / MAX_EMBEDDINGS, 1.0)
        if len(chunk) > MAX_EMBEDDINGS:
            sample = np.linspace(0, len(chunk) - 1, MAX_EMBEDDINGS).astype(int)
            chunk, speaker = chunk[sample], speaker[sample]
        alone = segmentations.data * (segmentations.data.sum(axis=2, keepdims=True) == 1)
        # chunks overlap: each stands for one step of time
        frame = segmentations.sliding_window.step / segmentations.data.shape[1]
        seconds = alone.sum(axis=1)[chunk, speaker] * frame * share
        return embeddings[chunk, speaker], np.maximum(seconds, 1e-3)

    def _cluster(
        self,
        known: np.ndarray,
        centred: np.ndarray,
        seconds: np.ndarray,
        limits: tuple[int | None, int, int],
    ) -> np.ndarray:
        """The cluster of each embedding, from 0; limits: the number, the minimum, the maximum."""
        number, minimum, maximum = limits
        one = np.zeros(len(known), dtype=int)
        if maximum == 1 or len(known) == 1:
            return one
        tree = linkage(centred, method="ward")
        if number is not None:
            return _cut(tree, number)
        best, best_score = (one if minimum == 1 else _cut(tree, minimum)), -1.0
        for count in range(max(2, minimum), min(maximum, MAX_SPEAKERS, len(known) - 1) + 1):
            labels = _cut(tree, count)
            if labels.max() + 1 != count or not self._differ(known, seconds, labels):
                continue
            score = silhouette_score(centred, labels, metric="cosine")
            if score > best_score:
                best, best_score = labels, score
        return best

    def _differ(self, known: np.ndarray, seconds: np.ndarray, labels: np.ndarray) -> bool:
        """Whether all clusters are voices of their own that say something."""
        if np.bincount(labels, weights=seconds).min() < self.min_speech:
            return False
        means = unit(_means(known, labels))
        alike = means @ means.T
        np.fill_diagonal(alike, -1.0)
        return bool(alike.max() < self.same_voice)


def _means(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean of the vectors of each label, from label 0 on."""
    return np.stack([vectors[labels == k].mean(axis=0) for k in range(labels.max() + 1)])


def _cut(tree: np.ndarray, count: int) -> np.ndarray:
    """Labels from 0 of the tree cut into at most `count` clusters."""
    return np.unique(fcluster(tree, count, criterion="maxclust"), return_inverse=True)[1]


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors, brought to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
