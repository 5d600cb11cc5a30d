"""Voices over one channel, far from the origin and close together, are told apart and counted."""

import numpy as np
import pytest
from pyannote.core import SlidingWindow, SlidingWindowFeature

from components.diarize.demo.clustering import CentredClustering

CHUNKS, FRAMES, LOCAL, SIZE = 40, 50, 3, 64


def recording(
    voices: int, spread: float = 0.6, seed: int = 0
) -> tuple[np.ndarray, SlidingWindowFeature, np.ndarray]:
    """Chunks of 5 s with one local speaker each, who is one of so many voices, in a random slot."""
    rng = np.random.default_rng(seed)
    channel = rng.normal(size=SIZE) / np.sqrt(SIZE)
    means = channel + spread * rng.normal(size=(voices, SIZE)) / np.sqrt(SIZE)
    embeddings = np.full((CHUNKS, LOCAL, SIZE), np.nan)
    heard = np.zeros((CHUNKS, FRAMES, LOCAL))
    truth = np.full((CHUNKS, LOCAL), -2)
    for chunk in range(CHUNKS):
        voice, slot = chunk * voices // CHUNKS, rng.integers(LOCAL)
        noisy = means[voice] + 0.15 * rng.normal(size=SIZE) / np.sqrt(SIZE)
        embeddings[chunk, slot] = noisy / np.linalg.norm(noisy)
        heard[chunk, 5:40, slot] = 1
        truth[chunk, slot] = voice
    window = SlidingWindow(start=0, duration=5, step=1)
    return embeddings, SlidingWindowFeature(heard, window), truth


@pytest.fixture
def clustering() -> CentredClustering:
    made = CentredClustering()
    made.instantiate({"same_voice": 0.89, "min_speech": 2.5})
    return made


def same_partition(clusters: np.ndarray, truth: np.ndarray) -> bool:
    active = truth >= 0
    pairs = set(zip(clusters[active].tolist(), truth[active].tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@pytest.mark.parametrize("voices", [2, 3, 5])
@pytest.mark.parametrize("number_is_known", [True, False])
def test_each_voice_is_a_cluster(
    clustering: CentredClustering, voices: int, number_is_known: bool
) -> None:
    embeddings, heard, truth = recording(voices)
    clusters, soft, means = clustering(embeddings, heard, voices if number_is_known else None)
    assert same_partition(clusters, truth)
    assert means.shape == (voices, SIZE)
    assert soft.shape == (CHUNKS, LOCAL, voices)


def test_one_voice_is_not_split(clustering: CentredClustering) -> None:
    embeddings, heard, _ = recording(1)
    clusters, _, means = clustering(embeddings, heard)
    assert clusters.max() == 0
    assert len(means) == 1


def test_a_word_of_a_third_voice_makes_no_third_speaker(clustering: CentredClustering) -> None:
    embeddings, heard, truth = recording(3)
    rare = np.argwhere(truth == 2)[1:]  # of the third voice only one chunk is left
    heard.data[rare[:, 0], :, rare[:, 1]] = 0
    embeddings[rare[:, 0], rare[:, 1]] = np.nan
    assert len(clustering(embeddings, heard)[2]) == 2


def test_two_heard_apart_in_one_chunk_are_two(clustering: CentredClustering) -> None:
    embeddings, heard, truth = recording(2)
    slot = int(np.argmax(truth[0]))
    other = (slot + 1) % LOCAL
    embeddings[0, other] = embeddings[0, slot]  # as alike as can be
    heard.data[0, 40:, other] = 1
    clusters, _, _ = clustering(embeddings, heard, 2)
    assert clusters[0, slot] != clusters[0, other]


def test_no_embedding_at_all(clustering: CentredClustering) -> None:
    embeddings, heard, _ = recording(2)
    clusters, _, means = clustering(np.full_like(embeddings, np.nan), heard, 2)
    assert clusters.max() == 0
    assert np.isfinite(means).all()


def test_bounds_on_the_number(clustering: CentredClustering) -> None:
    embeddings, heard, _ = recording(3)
    assert len(clustering(embeddings, heard, max_clusters=2)[2]) == 2
    assert len(clustering(embeddings, heard, min_clusters=4)[2]) == 4
    assert len(clustering(embeddings, heard, num_clusters=1)[2]) == 1
