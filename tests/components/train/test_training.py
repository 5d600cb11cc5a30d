"""Training on tones with tiny encoders: the folds, the cache, determinism, resuming."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.conversation import InputError, Recording, read_audio
from components.fusion import load_model
from components.profile import Profile, Settings
from components.train import train

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]


def test_train_writes_a_version(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    result = train(
        *corpus, tmp_path / "model", make_profile(), settings, lambda *step: seen.append(step)
    )
    assert sorted(p.name for p in result.model.iterdir() if p.suffix != ".txt") == [
        "config.json",
        "drift_reference.parquet",
        "golden.safetensors",
        "history.json",
        "model.onnx",
        "model.safetensors",
        "model_card.md",
        "preprocessor_config.json",
        "profile.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert result.training_examples == dict.fromkeys(("angry", "happy", "neutral", "sad"), 4)
    assert len(result.history) == 4
    assert seen == sorted(seen) and seen[-1] == (36, 36)
