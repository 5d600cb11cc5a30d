"""The training loop's own parts: class weights, precision, which groups of weights learn how."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import TrainingArguments

from components.base import InputError
from components.config import Profile, Settings, TrainSettings
from components.conversation import DEFAULT_LABELS, Recording
from components.fusion.head import MoodlineOutput
from components.train import train
from components.train.loop import _class_weights, classification_scores
from components.train.processes import precision, process_count
from components.train.trainer import WindowTrainer

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]


class Fixed(nn.Module):
    """Answers with the logits it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, logits: torch.Tensor) -> MoodlineOutput:
        return MoodlineOutput(logits=logits * self.weight)


def test_the_loss_weighs_each_class_as_its_weight_says(tmp_path: Path) -> None:
    given_labels = np.array([0, 0, 0, 0, 1, 1, 2, 3])
    weights = _class_weights(given_labels, 4)
    # Inverse to the counts 4, 2, 1, 1: each class then weighs the same.
    assert torch.allclose(weights, torch.tensor([0.5, 1.0, 2.0, 2.0]))
    torch.manual_seed(0)
    logits, labels = torch.randn(8, 4), torch.from_numpy(given_labels)
    for given in (None, weights):
        trainer = WindowTrainer(
            model=Fixed(),
            args=TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]),
            batch_size=8,
            encoder_rate=1e-5,
            class_weights=given,
        )
        loss = trainer.compute_loss(trainer.model, {"logits": logits, "labels": labels.clone()})
        expected = nn.functional.cross_entropy(logits, labels, given)
        assert loss.item() == pytest.approx(expected.item())


def test_class_weights_change_what_is_learnt(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(corpus[0]).to_pylist()
    rows = [row for row in table if row["recording"] != "r0" or row["emotion"] == "sad"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "e.parquet")
    losses = [
        train(
            tmp_path / "e.parquet",
            corpus[1],
            tmp_path / "model",
            make_profile(epochs=1, class_weights=weighted),
            settings,
        ).history[0]["training_loss"]
        for weighted in (False, True)
    ]
    assert losses[0] != losses[1]


def test_precision_is_chosen_by_the_hardware() -> None:
    assert not torch.cuda.is_available()
    assert precision(TrainSettings()) == "float32"
    assert precision(TrainSettings(precision="bf16")) == "bf16"
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        precision(TrainSettings(precision="fp16"))
    assert process_count(TrainSettings()) == 1
    assert process_count(TrainSettings(processes=3)) == 3


def test_it_trains_in_bfloat16_and_with_checkpointed_gradients_where_asked(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    how = {"freeze_encoders": False, "epochs": 1, "dropout": 0.0}
    losses = [
        train(*corpus, tmp_path / "model", make_profile(**how, **also), settings).history[0]
        for also in ({}, {"precision": "bf16"}, {"gradient_checkpointing": True})
    ]
    exact, half, again = (entry["training_loss"] for entry in losses)
    assert half != exact
    assert half == pytest.approx(exact, abs=0.05)
    assert again == pytest.approx(exact, abs=1e-4)


def test_scores_by_hand() -> None:
    labels = np.array([0, 0, 1, 2])
    answers = np.array([0, 1, 1, 1])
    probabilities = np.full((4, 4), 0.1)
    probabilities[np.arange(4), answers] = 0.7
    scores = classification_scores(labels, probabilities, DEFAULT_LABELS)
    assert scores["accuracy"] == 0.5
    assert scores["unweighted_recall"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 0.5 + 0) / 3)
    assert scores["loss"] == pytest.approx(-(2 * np.log(0.7) + 2 * np.log(0.1)) / 4)
