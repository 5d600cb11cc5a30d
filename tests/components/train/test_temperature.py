"""A version's temperature: fitted on the validation part, the same wherever the version answers."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from components.config import Profile, Settings, version_answers
from components.conversation import Recording
from components.fusion import OnnxModel, load_tokenizer, predict
from components.fusion.model import load_model
from components.scoring import tempered
from components.train import TrainResult, train
from components.train.version import golden_clips

Corpus = tuple[Path, list[Recording]]


@pytest.fixture(scope="module")
def calibrated(
    corpus: Corpus,
    make_profile: Callable[..., Profile],
    tiny_models: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> TrainResult:
    """A training whose validation turns are there twice, half of the second ones mislabelled."""
    home = tmp_path_factory.mktemp("calibrated")
    rows = pq.read_table(corpus[0]).to_pylist()
    again = [row for row in rows if row["fold"] == "fold1"]
    turned = [{**row, "emotion": "sad" if i % 2 else row["emotion"]} for i, row in enumerate(again)]
    pq.write_table(pa.Table.from_pylist([*rows, *turned]), home / "examples.parquet")
    settings = Settings(home=home, models=tiny_models)
    profile = make_profile(epochs=12).model_copy(update={"uncertain_below": 0.4})
    return train(home / "examples.parquet", corpus[1], home / "model", profile, settings)


def test_torch_graph_and_golden_answers_have_it(calibrated: TrainResult) -> None:
    answers = version_answers(calibrated.model)
    assert answers.uncertain_below == 0.4
    assert answers.temperature == calibrated.temperature
    assert abs(answers.temperature - 1) > 0.1
    model, tokenizer = load_model(calibrated.model), load_tokenizer(calibrated.model)
    clips = golden_clips()[:4]  # the last one is longer than a window
    by_torch, _ = predict(model, clips, tokenizer=tokenizer, batch_size=1)
    by_graph, _ = predict(OnnxModel(calibrated.model / "model.onnx"), clips, tokenizer=tokenizer)
    assert np.abs(by_torch - by_graph).max() < 1e-4
    golden = load_file(calibrated.model / "golden.safetensors")["probabilities"][:4]
    assert np.abs(by_torch - golden).max() < 1e-5
    model.config.calibration_temperature = 1.0
    raw, _ = predict(model, clips, tokenizer=tokenizer, batch_size=1)
    assert np.abs(raw - by_torch).max() > 0.01
    assert np.abs(tempered(raw, answers.temperature) - by_torch).max() < 1e-5


def test_the_drift_reference_and_the_card_have_it(calibrated: TrainResult) -> None:
    written = json.loads((calibrated.model / "history.json").read_text())["temperature"]
    assert written["value"] == calibrated.temperature and written["turns"] == 32
    assert written["loss"] < written["loss_before"] and not written["note"]
    rows = pq.read_table(calibrated.model / "drift_reference.parquet").to_pylist()
    held = [row for row in rows if row["part"] == "validation"]
    labels = [row["label"] for row in held]
    names = json.loads((calibrated.model / "config.json").read_text())["label2id"]
    of_labels = [row["probabilities"][names[row["label"]]] for row in held]
    assert len(labels) == 32
    assert -np.log(of_labels).mean() == pytest.approx(written["loss"], abs=1e-4)
    card = (calibrated.model / "model_card.md").read_text()
    assert f"Temperature of its probabilities: {calibrated.temperature:.2f}" in card
    assert "less than 40 % sure is marked uncertain" in card


def test_too_few_validation_turns_are_told(trained: TrainResult) -> None:
    assert trained.temperature == version_answers(trained.model).temperature == 1
    assert "16 turns, too few" in (trained.model / "model_card.md").read_text()
