"""Made-up traffic with two things in it that real traffic has: turns of a recording are alike, and
recordings differ."""

from collections.abc import Callable

import numpy as np
import pytest

from components.drift import Sample

MakeTraffic = Callable[..., Sample]


def traffic(
    recordings: int,
    seed: int,
    *,
    turns: int = 14,
    sad: float = 0.25,
    snr: float = 30.0,
    embedding: float = 0.0,
    asr: bool = True,
) -> Sample:
    """Recordings of `turns` turns; half of the variance of everything lies between recordings."""
    dice = np.random.default_rng(seed)
    own = np.repeat(dice.normal(size=(recordings, 16)), turns, axis=0)
    x = (own + dice.normal(size=own.shape)) / np.sqrt(2)
    shares = dice.dirichlet(40 * np.array([*[(1 - sad) / 3] * 3, sad]), size=recordings)
    drawn = dice.random(len(x))[:, None] > np.repeat(shares, turns, axis=0).cumsum(axis=1)
    emotion = drawn[:, :3].sum(axis=1)
    features = {
        "emotion": 0.1 + 0.6 * np.eye(4)[emotion],
        "embedding": x[:, 8:] + embedding + 0.5 * np.eye(8)[emotion],
        "confidence": 0.6 + 0.1 * x[:, 0],
        "duration": np.exp(1 + 0.5 * x[:, 1]),
        "words_per_second": 2.5 + 0.5 * x[:, 2],
        "loudness_db": -25 + 5 * x[:, 3],
        "snr_db": snr + 5 * x[:, 4],
        "asr_confidence": (0.8 + 0.1 * x[:, 5]) * (1.0 if asr else np.nan),
    }
    names = [f"{seed}-{number}" for number in range(recordings) for _ in range(turns)]
    return Sample(np.array(names, dtype=object), features)


@pytest.fixture(scope="session")
def make_traffic() -> MakeTraffic:
    """`traffic`: recordings and a seed, and what is shifted, give a sample."""
    return traffic
