"""Versions from before labels, temperatures and other forms than the paper's answer as they did.

`older_versions` holds what the code of 29 November 2026 (before commit 084cf04) wrote of two tiny
models in the paper's form: `config.json`, `profile.json`, and the names and shapes of the weights;
and the logits that it gave for `clips`, on the weights that `weights_of` makes.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from components.config import TrainStep, load_train_step, version_answers
from components.config.version_answers import VersionAnswers
from components.conversation import DEFAULT_LABELS
from components.fusion import Classifier, Clip, predict
from components.fusion.export import export_onnx
from components.fusion.model import load_model
from tests.tiny import word_tokenizer

WRITTEN = Path(__file__).with_name("older_versions")
WORDS = ("no", "yes", "the", "room", "lost", "gone")


def weights_of(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Weights by the names that they had, each from a seed of its own."""
    weights = {}
    for name, shape in shapes.items():
        noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        if len(shape) > 1:
            values = 1.5 * noise / np.sqrt(np.prod(shape[1:]))
        else:
            values = 0.1 * noise + name.endswith(("weight", "scale"))
        weights[name] = values.astype("f4")
    return weights


@pytest.fixture(params=["demo", "paper"])
def written(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What an older version's files held: of Whisper and BERT, of wav2vec 2.0 and RoBERTa."""
    content: dict[str, Any] = json.loads((WRITTEN / f"{request.param}.json").read_text())
    return content


@pytest.fixture
def version(written: dict[str, Any], tmp_path: Path) -> Path:
    """The older version's folder."""
    for name in ("config", "profile"):
        (tmp_path / f"{name}.json").write_text(json.dumps(written[name], indent=2))
    save_file(weights_of(written["weights"]), tmp_path / "model.safetensors", {"format": "pt"})
    word_tokenizer(WORDS).save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.fixture(scope="module")
def said() -> list[Clip]:
    """A swelling tone with five partials, long and short, with words and without."""
    time = np.arange(24000) / 16000
    tone = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 6))
    tone = (0.1 * tone * (0.6 + 0.4 * np.sin(6 * np.pi * time))).astype("f4")
    return [(tone, "no the room"), (tone[:5000], ""), (tone[:400], "lost gone")]


def test_an_older_version_answers_as_it_did(
    version: Path, written: dict[str, Any], said: list[Clip]
) -> None:
    model = load_model(version)
    assert model.config.labels == DEFAULT_LABELS
    logits = torch.tensor(written["logits"], dtype=torch.float64)
    recorded = logits.softmax(-1).numpy()
    assert np.ptp(recorded, axis=0).min() > 0.03, "each clip has an answer of its own"
    answers, _ = predict(model, said, tokenizer=word_tokenizer(WORDS))
    assert np.abs(answers - recorded).max() < 2e-6
    export_onnx(model, version / "model.onnx")
    assert np.abs(Classifier(version)(said) - recorded).max() < 2e-6
    # Saved again it says more, and answers the same.
    model.save_pretrained(version)
    again, _ = predict(load_model(version), said, tokenizer=word_tokenizer(WORDS))
    assert np.array_equal(again, answers)


def test_what_an_older_version_says_of_itself_is_read_as_it_was_meant(
    version: Path, written: dict[str, Any]
) -> None:
    assert version_answers(version) == VersionAnswers(temperature=1.0, uncertain_below=0.0)
    step = load_train_step((version / "profile.json").read_text())
    assert step.labels == DEFAULT_LABELS
    fusion, train = step.fusion, step.train
    assert fusion == fusion.paper_form()
    assert (train.augment, train.metric_for_best_model) == (0.0, "macro_f1")
    # What it was made from has the digest that it had.
    assert TrainStep.of(step).model_dump(mode="json") == written["profile"]
