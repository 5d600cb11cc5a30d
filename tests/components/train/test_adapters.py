"""Less memory for larger encoders: batches in parts, low-rank changes, compiled modules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import load_file
from transformers import TrainingArguments

from components.config import LoraSettings, Profile, Settings, TrainSettings
from components.conversation import Recording, read_audio
from components.fusion import Classifier, load_tokenizer, predict
from components.fusion.config import MoodlineConfig
from components.fusion.head import MoodlineHead
from components.fusion.model import MoodlineModel, load_model
from components.train import train
from components.train.adapters import add_adapters, merge_adapters
from components.train.trainer import WindowTrainer, collate

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0, 0.7])])
@pytest.mark.parametrize("size", [2, 6])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(
    tmp_path: Path, weights: torch.Tensor | None, size: int
) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2}
    encoders = {"model_type": "wav2vec2", **sizes}, {"model_type": "bert", **sizes}
    head = MoodlineHead(MoodlineConfig(*encoders, heads=2, dropout=0.0), 16)
    dice = np.random.default_rng(0)
    items = [
        {
            "acoustic": dice.standard_normal((1, 16), dtype="f4"),
            "text": dice.standard_normal((1, 16), dtype="f4"),
            "label": i % 3,
        }
        for i in range(size)
    ]

    def step(accumulate: int) -> tuple[float, list[torch.Tensor]]:
        trainer = WindowTrainer(
            model=head,
            args=TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]),
            batch_size=size,
            encoder_rate=1e-5,
            class_weights=weights,
            accumulate=accumulate,
        )
        trainer.current_gradient_accumulation_steps = 1
        head.zero_grad()
        loss = trainer.training_step(head, collate(items)).item()
        return loss, [p.grad.clone() for p in head.parameters() if p.grad is not None]

    (whole, gradients), (parts, added) = step(1), step(4)
    assert parts == pytest.approx(whole, abs=1e-6)
    assert max(float(g.abs().max()) for g in gradients) > 0.1
    for one, other in zip(gradients, added, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_batch_in_parts_is_fitted_as_the_whole_is(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    how: dict[str, Any] = {
        "freeze_encoders": False,
        "epochs": 2,
        "dropout": 0.0,
        "class_weights": True,
        "batch_size": 6,
    }
    whole = train(*corpus, tmp_path / "whole", make_profile(**how), settings)
    parts = train(*corpus, tmp_path / "parts", make_profile(**how, accumulate=4), settings)
    for one, other in zip(whole.history, parts.history, strict=True):
        assert other == pytest.approx(one, abs=2e-4)


def test_low_rank_changes_are_part_of_the_versions_weights(
    corpus: Corpus, make_profile: Make, settings: Settings, tiny_models: Path, tmp_path: Path
) -> None:
    profile = make_profile(
        freeze_encoders=False,
        epochs=2,
        lora={"rank": 2, "alpha": 4},
        encoder_learning_rate=1e-2,
    )
    result = train(*corpus, tmp_path / "model", profile, settings)
    after = load_file(result.model / "model.safetensors")
    wave = load_file(tiny_models / "tiny-wave/model.safetensors")
    query = "encoder.layers.0.attention.q_proj.weight"
    change = after[f"acoustic.encoder.{query}"] - wave[query]
    sizes = np.linalg.svd(change, compute_uv=False)
    assert sizes[1] > 1e-4 and sizes[2] < 1e-5, "a change of rank 2"
    convolution = "feature_extractor.conv_layers.1.conv.weight"
    assert np.array_equal(after[f"acoustic.encoder.{convolution}"], wave[convolution])
    model = load_model(result.model)
    assert not [name for name, _ in model.named_parameters() if "lora" in name]
    turn = (read_audio(corpus[1][0].audio, 0.0, 0.3), "no stop")
    by_torch = predict(model, [turn], tokenizer=load_tokenizer(result.model))[0]
    assert np.abs(by_torch - Classifier(result.model)([turn])).max() < 1e-4


def test_low_rank_changes_leave_little_to_fit(tiny_models: Path) -> None:
    model = MoodlineModel.from_encoders(
        str(tiny_models / "tiny-wave"), str(tiny_models / "tiny-text"), heads=4
    )
    names = set(model.state_dict())
    add_adapters(model, LoraSettings(rank=1), 0)
    fitted = [n for n, p in model.named_parameters() if p.requires_grad and "encoder." in n]
    assert fitted and all("lora_" in n for n in fitted if not n.startswith("head"))
    assert all(p.requires_grad for p in model.head.parameters())
    merge_adapters(model)
    assert set(model.state_dict()) == names


def test_frozen_encoders_have_no_low_rank_changes() -> None:
    with pytest.raises(ValidationError, match="lora: goes with freeze_encoders: false"):
        TrainSettings(freeze_encoders=True, lora=LoraSettings())


@pytest.mark.compiles
def test_a_compiled_head_learns_the_same(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"epochs": 2, "dropout": 0.0}
    plain, compiled = (
        train(*corpus, tmp_path / "model", make_profile(**how, compile=way), settings).history
        for way in (False, True)
    )
    for one, other in zip(plain, compiled, strict=True):
        assert other == pytest.approx(one, abs=1e-3)
