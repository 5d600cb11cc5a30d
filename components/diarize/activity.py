"""What a pyannote pipeline hears of each speaker in each frame, before it decides who speaks.

`SpeakerDiarization` listens to overlapping chunks. In each it tells local speakers apart; their
voices are clustered; then all chunks that hear a frame are summed (`reconstruct`), and as many
speakers as are counted there are taken. The share of the chunks that hear a speaker is lost: it is
kept here.
"""

import threading
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from pyannote.audio import Inference
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.core import SlidingWindowFeature

from components.conversation import FrameScores, SpeakerSegment
from components.diarize.clustered import Clustered


class _Run(threading.local):
    """What was heard in the pipeline's run in this thread: others may run it meanwhile."""

    def __init__(self) -> None:
        self.heard: SlidingWindowFeature | None = None
        self.decided: list[SlidingWindowFeature] = []


class KeptActivity:
    """Listens to a pipeline's `reconstruct`; nothing that the pipeline does is changed.

    Args:
        pipeline: whose method is wrapped.
    """

    def __init__(self, pipeline: SpeakerDiarization) -> None:
        self._reconstruct = pipeline.reconstruct
        self._run = _Run()
        setattr(pipeline, "reconstruct", self._kept)  # noqa: B010  # for this pipeline alone

    def _kept(
        self, segmentations: SlidingWindowFeature, clusters: np.ndarray, count: SlidingWindowFeature
    ) -> SlidingWindowFeature:
        if self._run.heard is None:
            self._run.heard = _summed(segmentations, clusters, count)
        decided = self._reconstruct(segmentations, clusters, count)
        self._run.decided.append(decided)
        return decided

    def clear(self) -> None:
        """Forget what was heard before."""
        self._run.heard, self._run.decided = None, []

    def scores(self, exclusive: Sequence[SpeakerSegment]) -> FrameScores | None:
        """What the pipeline's last run heard.

        Args:
            exclusive: its answer, one speaker at a time. Where it gave a stretch to another speaker
                than `reconstruct` did, their scores change places.

        Returns:
            None where nobody spoke, or the pipeline works in another way.
        """
        heard, decided = self._run.heard, self._run.decided
        self.clear()
        if heard is None or len(decided) != 2:
            return None
        count = decided[0].data.shape[1]
        speaks, alone, shares = (_padded(part.data, count) for part in (*decided, heard))
        # The pipeline's names, SPEAKER_00 …, are in this order (`Annotation.labels`).
        columns = sorted(np.flatnonzero((speaks > 0).any(axis=0)).tolist(), key=str)
        names = tuple(f"SPEAKER_{number:02d}" for number in range(len(columns)))
        window = heard.sliding_window
        # pyannote takes a frame for the instant in its middle
        start = window.start + (window.duration - window.step) / 2
        activity = np.round(255 * np.clip(shares[:, columns], 0, 1)).astype(np.uint8)
        scores = FrameScores(names, float(start), float(window.step), activity)
        first = _segments(alone[:, columns] > 0, names, scores)
        return scores.following(first, exclusive)


def _summed(
    segmentations: SlidingWindowFeature, clusters: np.ndarray, count: SlidingWindowFeature
) -> SlidingWindowFeature:
    """The share of chunks that hear each cluster, as [frames, clusters].

    Args:
        segmentations: [chunks, frames, local speakers], 0 to 1.
        clusters: int [chunks, local speakers], -2 for those who are silent.
        count: [frames, 1], by its frames.
    """
    summed = Inference.aggregate(
        Clustered(segmentations, clusters, missing=0.0),
        count.sliding_window,
        hamming=False,
        missing=0.0,
    )
    return SlidingWindowFeature(summed.data[: len(count.data)], count.sliding_window)


def _padded(data: np.ndarray, count: int) -> np.ndarray:
    """[frames, clusters] with as many columns as there are speakers: where more are counted at a
    moment than there are clusters, pyannote adds some without a voice."""
    return np.pad(data, ((0, 0), (0, count - data.shape[1])))


def _segments(alone: np.ndarray, names: Sequence[str], scores: FrameScores) -> list[SpeakerSegment]:
    """Who is decided to speak alone: bool [frames, speakers] as segments, one a run of frames."""
    owners = np.where(alone.any(axis=1), alone.argmax(axis=1), -1)
    edges = np.flatnonzero(np.diff(owners)) + 1
    bounds = [0, *edges.tolist(), len(owners)]
    return [
        SpeakerSegment(
            scores.start + first * scores.step, scores.start + last * scores.step, names[owner]
        )
        for first, last in pairwise(bounds)
        if first < last and (owner := int(owners[first])) >= 0
    ]
