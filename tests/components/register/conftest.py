"""A small but real model version, and a real MLflow to register it in."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from components.base import tree_digest
from components.config import Settings, load_profile
from components.conversation import DEFAULT_LABELS, Recording, Utterance
from components.evaluate import measure
from components.register import Lineage, register
from components.scoring import Check, Verdict
from tests.components.register.stores import SimulatedS3, simulated_s3
from tests.tiny import word_tokenizer

Make = Callable[..., Path]
"""A model's folder, made at the path that is given."""

Evidence = Callable[..., dict[str, Path]]
"""What goes with a model into the registry, as `register` takes it."""

SEEDS = itertools.count(1)
WORDS = ("a", "how", "are", "you", "today", "fine")


def write_model(folder: Path, seed: int = 0) -> Path:
    """A model's folder whose graph can be understood: linear in two means, padding left out."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True)
    weights = np.random.default_rng(seed).normal(size=(2, 4)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceSum", ["audio", "axis"], ["sound_sum"], keepdims=1),
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ids", "axis"], ["words_sum"], keepdims=1),
        helper.make_node("Cast", ["audio_lengths"], ["samples"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["text_lengths"], ["tokens"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["samples", "axis"], ["samples_2d"]),
        helper.make_node("Unsqueeze", ["tokens", "axis"], ["tokens_2d"]),
        helper.make_node("Div", ["sound_sum", "samples_2d"], ["sound"]),
        helper.make_node("Div", ["words_sum", "tokens_2d"], ["words"]),
        helper.make_node("Concat", ["sound", "words"], ["embedding"], axis=1),
        helper.make_node("MatMul", ["embedding", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "moodline",
        [
            helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["n", "samples"]),
            helper.make_tensor_value_info("audio_lengths", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "tokens"]),
            helper.make_tensor_value_info("text_lengths", TensorProto.INT64, ["n"]),
        ],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 4]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 2]),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    facts = {"emotions": ",".join(DEFAULT_LABELS), "max_samples": "480000", "max_tokens": "128"}
    facts["hidden_size"] = "2"
    helper.set_model_props(model, facts)
    onnx.save(model, folder / "model.onnx")
    word_tokenizer(WORDS).save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"model_type": "moodline", "seed": seed}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 16000}))
    (folder / "model_card.md").write_text("# Moodline\n\n## Not to be used\n\n- At work.\n")
    save_file({"weights": weights}, folder / "model.safetensors")
    save_file({"0.probabilities": np.full(4, 0.25, "f4")}, folder / "golden.safetensors")
    pq.write_table(pa.table({"emotion": ["sad"]}), folder / "drift_reference.parquet")
    return folder


def write_evidence(folder: Path, model: Path | None, verdict: str = "pass") -> dict[str, Path]:
    """Metrics, a report and a verdict, as `evaluate` leaves them: three of four right."""
    folder.mkdir(parents=True, exist_ok=True)
    evidence = {name: folder / name for name in ("metrics", "report", "verdict")}
    digest = "" if model is None else tree_digest(model)
    utterances = [
        Utterance(f"u{i}", "call", 2.0 * i, 2.0 * i + 1.9, "A", "F", "how are you", emotion)
        for i, emotion in enumerate(("sad", "sad", "sad", "happy"))
    ]
    recording = Recording("call", folder / "call.flac", "two", False, tuple(utterances))
    turns = [replace(u.as_turn(), emotion="sad", confidence=0.8) for u in utterances]
    metrics = {
        "model": digest,
        "synthetic": True,
        "test_fold": "two",
        "recordings": 1,
        "utterances": 4,
        "champion": None,
        **measure([recording], turns, seed=0).metrics,
    }
    checks = [
        Check("min_accuracy", 0.75, "at least", 0.5, "pass", "accuracy is 0.7500"),
        Check("min_macro_f1", 0.43, "at least", 0.5, verdict, "macro F1 is 0.43"),  # type: ignore[arg-type]
    ]
    evidence["metrics"].write_text(json.dumps(metrics))
    evidence["report"].write_text("<html>report</html>")
    evidence["verdict"].write_text(json.dumps(Verdict(digest, tuple(checks)).to_json()))
    return evidence


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Path]:
    return write_model


@pytest.fixture(scope="session")
def make_evidence() -> Callable[..., dict[str, Path]]:
    return write_evidence


@pytest.fixture(scope="session")
def lineage() -> Lineage:
    return Lineage("0123abcd", "corpus-digest", load_profile("tiny"))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables in SQLite: making them takes seconds, copying the file does not."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}", f"sqlite:///{path}").search_registered_models()
    return path


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    """An empty registry on SQLite, artifacts beside it."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(empty_database, home / "mlflow.db")
    return Settings(home=home)


@pytest.fixture(scope="session")
def s3() -> Iterator[SimulatedS3]:
    """moto's S3 simulator with an empty bucket."""
    with simulated_s3() as store:
        yield store


@pytest.fixture
def add_version(tmp_path: Path, lineage: Lineage) -> Callable[..., int]:
    """Registers one more model, whose weights no other has."""

    def add(settings: Settings, verdict: str = "pass") -> int:
        count = next(SEEDS)
        model = write_model(tmp_path / f"model-{count}", seed=count)
        evidence = write_evidence(tmp_path / f"papers-{count}", model, verdict)
        return register(model, **evidence, lineage=lineage, settings=settings)

    return add
