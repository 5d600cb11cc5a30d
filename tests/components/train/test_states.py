"""Frozen encoders are run once for each example; epochs run on what they gave."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from components.base import Cache
from components.conversation import Recording
from components.fusion import clip_windows
from components.fusion.model import MoodlineModel
from components.fusion.tokens import pretrained_tokenizer
from components.train.augment import Heard
from components.train.data import Sound, read_rows
from components.train.shards import States
from components.train.states import encode_rows, standardize

Corpus = tuple[Path, list[Recording]]


@pytest.fixture
def model(tiny_models: Path) -> MoodlineModel:
    return MoodlineModel.from_encoders(
        str(tiny_models / "tiny-wave"), str(tiny_models / "tiny-text"), heads=4
    )


def test_encoders_are_run_once(
    model: MoodlineModel, tiny_models: Path, corpus: Corpus, tmp_path: Path
) -> None:
    rows = read_rows(corpus[0])
    sound, cache = Sound(corpus[1], rows), Cache(tmp_path)
    tokenizer = pretrained_tokenizer(str(tiny_models / "tiny-text"))
    runs: list[str] = []
    model.acoustic.register_forward_hook(lambda *_: runs.append("acoustic"))
    model.text.register_forward_hook(lambda *_: runs.append("text"))

    def encode() -> list[np.ndarray]:
        encoded = encode_rows(
            model, tokenizer, rows, sound=sound, cache=cache, report=lambda _: None
        )
        return [array for windows in encoded for w in windows for array in (w.acoustic, w.text)]

    first = encode()
    assert sorted(runs) == ["acoustic"] * len(rows) + ["text"] * len(rows)
    runs.clear()
    again = encode()
    assert runs == []
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    # Other weights are other states.
    with torch.no_grad():
        next(model.text.parameters()).add_(1.0)
    encode()
    assert len(runs) == 2 * len(rows)


def test_standardized_states_have_mean_0_and_deviation_1(
    model: MoodlineModel, tiny_models: Path, corpus: Corpus, tmp_path: Path
) -> None:
    rows = read_rows(corpus[0])
    tokenizer = pretrained_tokenizer(str(tiny_models / "tiny-text"))
    encoded = encode_rows(
        model,
        tokenizer,
        rows,
        sound=Sound(corpus[1], rows),
        cache=Cache(tmp_path),
        report=lambda _: None,
    )
    standardize(model, encoded)
    states = torch.from_numpy(np.concatenate([windows[0].acoustic for windows in encoded]))
    scaled = model.head.acoustic(states)
    assert scaled.mean(0).abs().max() < 1e-3
    assert (scaled.std(0, correction=0) - 1).abs().max() < 1e-2


@pytest.mark.parametrize("attend", ["frames", "pooled"])
def test_a_copy_encodes_only_what_it_changes(
    tiny_models: Path, corpus: Corpus, tmp_path: Path, attend: str
) -> None:
    """Words never change, nor some of the sounds; what is taken over is the same to the bit."""
    model = MoodlineModel.from_encoders(
        *(str(tiny_models / name) for name in ("tiny-wave", "tiny-text")),
        heads=4,
        attend=attend,
        max_seconds=0.3,
    )
    rows = read_rows(corpus[0])
    sound, tokenizer = Sound(corpus[1], rows), pretrained_tokenizer(str(tiny_models / "tiny-text"))
    heard = Heard(0.3, 1, 1)
    runs: list[str] = []

    def encode(folder: str, **others: Any) -> States:
        cache = Cache(tmp_path / folder)
        return encode_rows(
            model, tokenizer, rows, sound=sound, cache=cache, report=lambda _: None, **others
        )

    whole = encode("whole", heard=heard)
    recorded = encode("taken over")
    model.acoustic.register_forward_hook(lambda *_: runs.append("acoustic"))
    model.text.register_forward_hook(lambda *_: runs.append("text"))
    taken = encode("taken over", heard=heard, recorded=recorded)
    limits = (model.config.max_samples, model.config.max_tokens)
    sounds = [
        (row, window.audio)
        for row in rows
        for window in clip_windows([sound.clip(row)], tokenizer, *limits)
    ]
    assert len(sounds) > len(rows)  # some are cut
    changed = sum(not np.array_equal(heard(audio, row, limits[0]), audio) for row, audio in sounds)
    assert 0 < changed < len(sounds)
    assert runs == ["acoustic"] * changed
    for ours, theirs in zip(taken, whole, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.weight == other.weight
            for name in ("acoustic", "text", "probe"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
