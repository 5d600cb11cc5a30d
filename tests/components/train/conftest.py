"""A corpus of tones, where pitch and words tell the emotion, and tiny random encoders."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from components.config import Profile, Settings, load_profile
from components.conversation import DEFAULT_LABELS, SAMPLE_RATE, Recording
from components.train import TrainResult, train
from tests.tiny import save_encoders

WORDS = {"angry": "no stop", "happy": "yes good", "neutral": "the room", "sad": "lost gone"}
PITCH = {"angry": 400, "happy": 300, "neutral": 200, "sad": 100}


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> Iterator[None]:
    """torch with one thread: work this small is only slowed down by sharing it out."""
    from components.train.states import one_thread

    with one_thread():
        yield


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared models: `tiny-wave` (wav2vec 2.0) and `tiny-text` (BERT)."""
    return save_encoders(tmp_path_factory.mktemp("models"), list(WORDS.values()), width=32)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Recording]]:
    """Six recordings in three folds, eight turns each, and their examples' Parquet file."""
    home = tmp_path_factory.mktemp("corpus")
    noise = np.random.default_rng(0)
    recordings, rows = [], []
    for number in range(6):
        name, fold = f"r{number}", f"fold{number // 2}"
        pieces = []
        for turn in range(8):
            emotion = DEFAULT_LABELS[turn % 4]
            seconds = 0.3 + 0.05 * turn
            start = sum(len(p) for p in pieces) / SAMPLE_RATE
            time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
            tone = np.sin(2 * np.pi * (PITCH[emotion] + noise.normal(0, 5)) * time)
            pieces.append((0.2 * tone + 0.01 * noise.standard_normal(len(time))).astype("f4"))
            rows.append(
                {
                    "utterance_id": f"{name}_{turn}",
                    "recording": name,
                    "fold": fold,
                    "speaker": "A",
                    "sex": "F",
                    "scripted": False,
                    "start": start,
                    "end": start + seconds,
                    "text": WORDS[emotion],
                    "emotion": emotion,
                    "asr_confidence": 0.9,
                    "coverage": 1.0,
                }
            )
        audio = home / f"{name}.wav"
        soundfile.write(audio, np.concatenate(pieces), SAMPLE_RATE)
        columns = ("set", "tones"), ("licence", "CC BY-NC 4.0" if number % 2 else "CC0 1.0")
        recordings.append(Recording(name, audio, fold, False, (), columns))
    examples = home / "examples.parquet"
    pq.write_table(pa.Table.from_pylist(rows), examples)
    return examples, recordings


@pytest.fixture(scope="session")
def make_profile() -> Callable[..., Profile]:
    """A profile over the tiny encoders; arguments are changes to its `train` part, and `fusion`
    some more to that part."""

    def make(
        attend: str = "pooled",
        max_seconds: float = 30.0,
        dropout: float = 0.2,
        fusion: Mapping[str, Any] = MappingProxyType({}),
        **train: Any,
    ) -> Profile:
        base = load_profile("tiny").model_dump(mode="json")
        base["fusion"] = {
            "acoustic": "tiny-wave",
            "text": "tiny-text",
            "attend": attend,
            "heads": 4,
            "feed_forward": 32,
            "max_seconds": max_seconds,
            "dropout": dropout,
            **fusion,
        }
        base["train"] = {"epochs": 6, "batch_size": 4, "learning_rate": 3e-3, **train}
        base["protocol"] = {"test_fold": "fold2", "validation_fold": "fold1"}
        return Profile.model_validate(base)

    return make


@pytest.fixture
def settings(tmp_path: Path, tiny_models: Path) -> Settings:
    """Moodline's state in a fresh folder, with the tiny models prepared; every epoch is kept."""
    return Settings(home=tmp_path / "home", models=tiny_models, checkpoint_seconds=0)


@pytest.fixture(scope="session")
def trained(
    corpus: tuple[Path, list[Recording]],
    make_profile: Callable[..., Profile],
    tiny_models: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> TrainResult:
    """One training with frozen encoders."""
    home = tmp_path_factory.mktemp("trained")
    settings = Settings(home=home, models=tiny_models)
    return train(*corpus, home / "model", make_profile(), settings)
