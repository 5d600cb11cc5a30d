"""Training on tones with tiny encoders: the version, what is learned, determinism."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from components.config import Profile, Settings
from components.conversation import DEFAULT_LABELS, Recording, read_audio
from components.fusion import Classifier, OnnxModel, load_tokenizer, predict
from components.fusion.model import load_model
from components.train import TrainResult, train

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]


def weights(model: Path) -> dict[str, np.ndarray]:
    return load_file(model / "model.safetensors")


def test_a_version_is_whole(trained: TrainResult) -> None:
    assert {p.name for p in trained.model.iterdir()} == {
        "config.json",
        "data.json",
        "drift_reference.parquet",
        "golden.safetensors",
        "history.json",
        "model.onnx",
        "model.safetensors",
        "model_card.md",
        "model_revisions.json",
        "preprocessor_config.json",
        "probe.safetensors",
        "profile.json",
        "special_tokens_map.json",
        "speech_models.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert {oct(p.stat().st_mode)[-3:] for p in trained.model.iterdir()} == {"644"}
    assert trained.training_examples == dict.fromkeys(DEFAULT_LABELS, 4)
    assert trained.validation_examples == dict.fromkeys(DEFAULT_LABELS, 4)


def test_the_card_names_the_licences_of_the_sound(trained: TrainResult) -> None:
    card = (trained.model / "model_card.md").read_text(encoding="utf-8")
    said = "the strictest first: CC BY-NC 4.0 (16 examples), CC0 1.0 (16 examples)."
    assert said in " ".join(card.split())
    assert "**Not for commercial use**" in card
    assert "synthetic" not in card  # said of the demo corpus, not of all that its profile fits
    assert json.loads((trained.model / "data.json").read_text()) == {
        "licences": {"CC BY-NC 4.0": 16, "CC0 1.0": 16},
        "sets": {"tones": 32},
        "languages": {"unknown": 32},
    }


def test_importing_it_loads_nothing_heavy() -> None:
    """A pipeline is compiled, and a graph answers, where there is no torch."""
    code = "import sys, components.train, components.fusion\n"
    code += "assert not {'torch', 'transformers', 'sklearn', 'mlflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_learns_the_tones(trained: TrainResult, corpus: Corpus) -> None:
    examples, recordings = corpus
    audio = {recording.name: recording.audio for recording in recordings}
    held = [row for row in pq.read_table(examples).to_pylist() if row["fold"] == "fold2"]
    clips = [(read_audio(audio[r["recording"]], r["start"], r["end"]), r["text"]) for r in held]
    probabilities, _ = Classifier(trained.model).predict(clips)
    right = [
        DEFAULT_LABELS[i] == r["emotion"]
        for i, r in zip(probabilities.argmax(1), held, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_history_has_the_curves_and_the_best_epoch(trained: TrainResult) -> None:
    history = json.loads((trained.model / "history.json").read_text())
    assert history["epochs"] == trained.history
    assert [entry["epoch"] for entry in trained.history] == list(range(1, len(trained.history) + 1))
    expected = {"epoch", "training_loss", "learning_rate", "validation_loss", "validation_accuracy"}
    assert all(expected <= entry.keys() for entry in trained.history)
    scores = [entry["validation_macro_f1"] for entry in trained.history]
    assert history["best_epoch"] == trained.best_epoch == 1 + int(np.argmax(scores))
    assert trained.validation["macro_f1"] == max(scores)


def check_golden(version: Path) -> None:
    """The version's graph gives its golden answers, alone and all together in one padded batch."""
    arrays = load_file(version / "golden.safetensors")
    expected, vectors = arrays["probabilities"], arrays["embedding"]
    audio = [arrays[f"audio.{i}"] for i in range(len(expected))]
    ids = [arrays[f"input_ids.{i}"] for i in range(len(expected))]
    assert len(expected) >= 4
    graph = OnnxModel(version / "model.onnx")
    for i in range(len(expected)):
        given, embedding = graph.run([audio[i]], [ids[i]])
        assert np.abs(given[0] - expected[i]).max() < 1e-4
        assert np.abs(embedding[0] - vectors[i]).max() < 1e-4
    given, embedding = graph.run(audio, ids)
    assert np.abs(given - expected).max() < 1e-4
    assert np.abs(embedding - vectors).max() < 1e-4


def test_golden_answers_come_back_from_torch_and_onnx(trained: TrainResult) -> None:
    check_golden(trained.model)


def test_drift_reference_is_what_the_model_says(trained: TrainResult, corpus: Corpus) -> None:
    rows = pq.read_table(trained.model / "drift_reference.parquet").to_pylist()
    assert [row["part"] for row in rows] == ["training"] * 16 + ["validation"] * 16
    first, recording = rows[0], corpus[1][0]
    clip = (read_audio(recording.audio, 0.0, 0.3), "no stop")
    probabilities, embedding = Classifier(trained.model).predict([clip])
    assert first["recording"] == "r0" and first["label"] == "angry"
    assert first["probabilities"] == pytest.approx(probabilities[0], abs=1e-5)
    assert first["embedding"] == pytest.approx(embedding[0], abs=1e-4)
    assert first["emotion"] == DEFAULT_LABELS[int(probabilities[0].argmax())]
    assert first["confidence"] == pytest.approx(max(first["probabilities"]))
    assert first["duration"] == pytest.approx(0.3)
    assert first["words_per_second"] == pytest.approx(2 / 0.3, rel=1e-4)
    assert first["loudness_db"] == pytest.approx(-17, abs=1)
    assert first["asr_confidence"] == pytest.approx(0.9)


def test_the_card_names_data_and_protocol(trained: TrainResult) -> None:
    card = (trained.model / "model_card.md").read_text()
    assert "| training | 2 | 4 | 4 | 4 | 4 | 16 |" in card
    assert "The test part (fold2) was neither fitted nor looked at" in card
    assert "synthetic" not in card  # only the demo corpus is


def test_no_file_names_the_machine(trained: TrainResult, tiny_models: Path) -> None:
    places = [str(tiny_models).encode(), str(trained.model.parent).encode()]
    for path in trained.model.iterdir():
        data = path.read_bytes()
        assert not [place for place in places if place in data], path.name


def test_the_same_training_gives_the_same_version(
    trained: TrainResult, corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    again = train(*corpus, tmp_path / "model", make_profile(), settings)
    assert again.digest == trained.digest
    # And from states that are already there.
    cached = train(*corpus, tmp_path / "model", make_profile(), settings)
    assert cached.digest == trained.digest


def test_another_seed_gives_another_version(
    trained: TrainResult, corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    profile = make_profile().model_copy(update={"seed": 1})
    assert train(*corpus, tmp_path / "model", profile, settings).digest != trained.digest


def test_fine_tuning_moves_encoders_at_their_own_rate(
    corpus: Corpus, make_profile: Make, settings: Settings, tiny_models: Path, tmp_path: Path
) -> None:
    def moved(rate: float) -> tuple[float, float]:
        profile = make_profile(
            freeze_encoders=False, epochs=1, learning_rate=1e-3, encoder_learning_rate=rate
        )
        after = weights(train(*corpus, tmp_path / "model", profile, settings).model)
        wave = load_file(tiny_models / "tiny-wave/model.safetensors")
        words = load_file(tiny_models / "tiny-text/model.safetensors")
        name = "encoder.layers.0.attention.q_proj.weight"
        acoustic = np.abs(after[f"acoustic.encoder.{name}"] - wave[name]).max()
        name = "embeddings.position_embeddings.weight"
        return float(acoustic), float(np.abs(after[f"text.encoder.{name}"] - words[name]).max())

    slow, fast = moved(1e-6), moved(1e-4)
    for little, much in zip(slow, fast, strict=True):
        assert 0 < little < 1e-5 < much < 1e-3


def test_frozen_encoders_stay_as_they_were(trained: TrainResult, tiny_models: Path) -> None:
    after = weights(trained.model)
    wave = load_file(tiny_models / "tiny-wave/model.safetensors")
    for name, value in wave.items():
        if name != "masked_spec_embed":
            assert np.array_equal(after[f"acoustic.encoder.{name}"], value), name


def test_attending_over_frames_trains_too(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    profile = make_profile("frames")
    result = train(*corpus, tmp_path / "model", profile, settings)
    model = load_model(result.model)
    assert model.config.attend == "frames"
    check_golden(result.model)
    turn = (read_audio(corpus[1][0].audio, 0.0, 0.3), "no stop")
    by_torch = predict(model, [turn], tokenizer=load_tokenizer(result.model))[0]
    by_graph = Classifier(result.model)([turn])
    assert np.abs(by_torch - by_graph).max() < 1e-4
    assert result.history[-1]["training_loss"] < 0.9 * result.history[0]["training_loss"]


def test_long_turns_are_fitted_in_windows_and_judged_whole(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    profile = make_profile(max_seconds=0.4, epochs=1)
    result = train(*corpus, tmp_path / "model", profile, settings)
    (entry,) = result.history
    # 16 turns, though they are more windows: a turn has one answer.
    assert (entry["validation_accuracy"] * 16) % 1 == pytest.approx(0.0, abs=1e-9)
    (shard,) = settings.cache.glob("states/*/*.safetensors")
    assert set(np.diff(load_file(shard)["first"])) == {1, 2}


def test_training_is_quiet(
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger("components").setLevel(logging.WARNING)
    train(*corpus, tmp_path / "model", make_profile(epochs=1), settings)
    assert capfd.readouterr().out == ""
