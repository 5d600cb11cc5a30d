"""Block by block, a pipeline answers as pyannote's own methods do with the whole recording."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyannote.audio import Inference
from pyannote.audio.pipelines.clustering import AgglomerativeClustering
from pyannote.audio.utils.signal import binarize
from pyannote.core import SlidingWindow, SlidingWindowFeature

from components.config import DiarizeSettings, Settings
from components.conversation import SAMPLE_RATE, read_audio
from components.diarize import Diarizer, activity
from components.diarize.demo import blocks, packaged
from components.diarize.demo.blocks import BoundedClustering, Scores
from components.diarize.demo.packaged import PackagedDiarization

CHUNKS = SlidingWindow(start=0.0, duration=5.0, step=1.0)


@pytest.mark.models
@pytest.mark.parametrize("name", ["diarization-campplus", "diarization-demo"])
def test_the_answers_are_pyannote_s(
    name: str, demo_corpus: Path, models_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = [read_audio(path) for path in sorted(demo_corpus.rglob("*.ogg"))[:4]]
    audio = np.concatenate(sounds)[: 110 * SAMPLE_RATE]  # more than one block of both
    options = DiarizeSettings(pipeline=name)
    pipeline = Diarizer(options, Settings(models=models_home))._pipeline
    assert isinstance(pipeline, PackagedDiarization)
    pipeline.embedding_batch_size = 16
    file: dict[str, Any] = {"waveform": torch.from_numpy(audio)[None], "sample_rate": SAMPLE_RATE}
    file["segmented"] = pipeline.segment(audio)
    shares: list[tuple[str, float]] = []

    def hook(name: str, *_: Any, total: int = 1, completed: int = 1, **__: Any) -> None:
        shares.append((name, completed / total))

    with monkeypatch.context() as smaller:
        smaller.setattr(blocks, "BLOCK", 7)
        ours = pipeline(dict(file), hook=hook)
    embedded = [share for stage, share in shares if stage == "embeddings"]
    assert embedded == sorted(embedded) and embedded[-1] == 1

    whole = pipeline.__dict__  # what is watched there are our methods
    for method in ("get_embeddings", "reconstruct"):
        monkeypatch.delattr(PackagedDiarization, method)
        monkeypatch.delitem(whole, method)
    monkeypatch.setattr(packaged, "Scores", SlidingWindowFeature)
    theirs = pipeline(dict(file))
    assert len(ours.speaker_diarization.labels()) >= 2
    assert ours.speaker_diarization == theirs.speaker_diarization
    assert ours.exclusive_speaker_diarization == theirs.exclusive_speaker_diarization
    np.testing.assert_array_equal(ours.speaker_embeddings, theirs.speaker_embeddings)


def test_thresholds_are_pyannote_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a score is the threshold, and keeps what was before."""
    monkeypatch.setattr(blocks, "BLOCK", 4)
    scores = np.random.default_rng(0).choice([0.2, 0.5, 0.8], (10, 30, 3)).astype(np.float32)
    ours = binarize(Scores(scores, CHUNKS), onset=0.5, initial_state=False)
    theirs = binarize(SlidingWindowFeature(scores, CHUNKS), onset=0.5, initial_state=False)
    assert ours.data.dtype == np.uint8
    np.testing.assert_array_equal(ours.data, theirs.data)


def test_a_bounded_clustering_finds_the_voices_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MAX_EMBEDDINGS", 40)
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, (200, 1))
    voices = np.eye(3)[truth] + random.normal(0, 0.05, (200, 1, 3))
    speaks = SlidingWindowFeature(np.ones((200, 20, 1)), CHUNKS)
    parameters = {"method": "centroid", "min_cluster_size": 2, "threshold": 0.7}
    found = {}
    for kind in (BoundedClustering, AgglomerativeClustering):
        clustering = kind().instantiate(parameters)
        found[kind], _, means = clustering(embeddings=voices, segmentations=speaks)
        assert len(means) == 3
    pairs = set(zip(truth.ravel().tolist(), found[BoundedClustering].ravel().tolist(), strict=True))
    assert len(pairs) == 3
    trusted, chunk, _ = BoundedClustering().filter_embeddings(voices, segmentations=speaks)
    assert len(trusted) == 40 and (chunk[0], chunk[-1]) == (0, 199)


def test_what_chunks_hear_of_each_cluster_is_summed_as_if_it_were_whole() -> None:
    """Two local speakers may be of one cluster, and a cluster may be in none of them."""
    random = np.random.default_rng(0)
    heard = SlidingWindowFeature(random.random((23, 30, 3), dtype=np.float32), CHUNKS)
    clusters = random.integers(-2, 4, (23, 3))
    clusters[clusters == -1] = -2
    frames = SlidingWindow(start=0.0, duration=5 / 30, step=5 / 30)
    whole = np.zeros((23, 30, 4), dtype=np.float32)
    for chunk, speaker in zip(*np.nonzero(clusters >= 0), strict=True):
        cluster = clusters[chunk, speaker]
        own = whole[chunk, :, cluster], heard.data[chunk, :, speaker]
        whole[chunk, :, cluster] = np.maximum(*own)
    assert (whole.max(axis=1) == 0).any() and whole.max() > 0
    expected = Inference.aggregate(SlidingWindowFeature(whole, CHUNKS), frames)
    count = SlidingWindowFeature(np.ones((162, 1), dtype=np.uint8), frames)
    np.testing.assert_array_equal(
        activity._summed(heard, clusters, count).data, expected.data[:162]
    )
