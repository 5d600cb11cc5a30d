"""The ONNX graph agrees with torch for any batch and any lengths, and runs without torch."""

import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from components.fusion import Clip, OnnxModel, predict
from components.fusion.export import export_onnx
from components.fusion.model import MoodlineModel
from tests.components.fusion.conftest import FORMS

Make = Callable[..., MoodlineModel]


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        *product(["whisper", "wav2vec2", "hubert", "wavlm"], ["pooled", "shortcut"]),
        *product(["whisper", "hubert"], ["frames", "mixed-frames"]),
    ],
)
def test_the_graph_agrees_with_torch(
    make_model: Make,
    tokenizer: Tokenizer,
    clips: list[Clip],
    tmp_path: Path,
    kind: str,
    form: str,
) -> None:
    model = make_model(kind, "roberta" if kind == "hubert" else "bert", **FORMS[form])
    export_onnx(model, tmp_path / "model.onnx")
    graph = OnnxModel(tmp_path / "model.onnx")
    assert graph.labels == ("angry", "happy", "neutral", "sad")
    width = 16 if form == "shortcut" else 32
    assert (graph.max_samples, graph.max_tokens, graph.hidden_size) == (480_000, 24, width)
    half_minute = (np.random.default_rng(0).standard_normal(480_000) / 10).astype("f4")
    every = [*clips, (half_minute, "we " * 22)]
    alone, vectors = predict(model, every, batch_size=1, tokenizer=tokenizer)
    for batch_size in (1, 3, len(every)):
        given, embeddings = predict(graph, every, batch_size=batch_size, tokenizer=tokenizer)
        assert np.abs(given - alone).max() < 1e-4
        assert np.abs(embeddings - vectors).max() < 1e-4


def test_exporting_leaves_the_model_as_it_was(make_model: Make, tmp_path: Path) -> None:
    model = make_model("hubert").train()
    export_onnx(model, tmp_path / "model.onnx")
    assert model.training and model.head.training


def test_the_same_model_gives_the_same_file(make_model: Make, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.onnx", "two.onnx")]
    for file in files:
        export_onnx(make_model("hubert"), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_serving_needs_no_torch(make_model: Make, tokenizer: Tokenizer, tmp_path: Path) -> None:
    export_onnx(make_model("hubert"), tmp_path / "model.onnx")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    code = f"""
import sys
import numpy as np
from components.fusion import OnnxModel, load_tokenizer, predict
clips = [(np.zeros(5000, "f4"), "we will"), (np.ones(9, "f4"), "")]
folder = {str(tmp_path)!r}
answers = predict(OnnxModel(folder + "/model.onnx"), clips, tokenizer=load_tokenizer(folder))
assert answers[0].shape == (2, 4)
assert not {{"torch", "transformers"}} & set(sys.modules), "heavy"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
