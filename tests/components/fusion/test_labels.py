"""Any number of labels: they travel in the configuration and in the graph, in their order."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from components.base import InputError
from components.conversation import DEFAULT_LABELS
from components.fusion import Classifier, Clip, OnnxModel, predict
from components.fusion.config import MoodlineConfig
from components.fusion.export import export_onnx
from components.fusion.model import MoodlineModel, load_model

NAMES = ("tense", "no agreement", "calm", "LABEL_3", "glad", "fort-night", "süß", "other")


@pytest.mark.parametrize("count", range(2, 9))
def test_a_version_answers_for_each_of_its_labels(
    make_model: Callable[..., MoodlineModel],
    tokenizer: Tokenizer,
    clips: list[Clip],
    tmp_path: Path,
    count: int,
) -> None:
    labels = NAMES[-count:]
    make_model(labels=labels).save_pretrained(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    model = load_model(tmp_path)
    assert model.config.labels == labels
    assert model.config.id2label == dict(enumerate(labels))
    slow, vectors = predict(model, clips, tokenizer=tokenizer)
    assert slow.shape == (len(clips), count) and vectors.shape == (len(clips), 32)
    assert slow.sum(axis=1) == pytest.approx(1.0, abs=1e-5)

    export_onnx(model, tmp_path / "model.onnx")
    assert OnnxModel(tmp_path / "model.onnx").labels == labels
    version = Classifier(tmp_path)
    assert version.labels == labels
    quick, embeddings = version.predict(clips)
    assert np.abs(quick - slow).max() < 1e-4
    assert np.abs(embeddings - vectors).max() < 1e-4


def test_a_version_of_before_tells_the_default_ones_apart(
    make_model: Callable[..., MoodlineModel], tmp_path: Path
) -> None:
    make_model().save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    written = json.loads(file.read_text())
    del written["id2label"], written["label2id"]
    file.write_text(json.dumps(written))
    assert load_model(tmp_path).config.labels == DEFAULT_LABELS


def test_two_labels_that_hugging_face_has_names_for_are_kept(tmp_path: Path) -> None:
    MoodlineConfig(labels=("LABEL_0", "LABEL_1")).save_pretrained(tmp_path)
    assert MoodlineConfig.from_pretrained(tmp_path).labels == ("LABEL_0", "LABEL_1")


def test_labels_without_a_number_are_refused() -> None:
    with pytest.raises(InputError, match="does not number the labels from 0 on"):
        MoodlineConfig(id2label={0: "calm", 2: "tense"})
