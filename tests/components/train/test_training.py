"""Training on tones with tiny encoders: the version, the folds, determinism, resuming."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from components.conversation import EMOTIONS, FEEDBACK, InputError, Recording, read_audio
from components.fusion import OnnxModel, load_model, predict
from components.profile import Profile, ProtocolSettings, Settings
from components.train import TrainResult, train
from components.train.checkpoints import last_whole_checkpoint
from components.train.data import Row, split_rows
from components.train.golden import read_golden
from components.train.history import read_history

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]


class Killed(Exception):
    """What stops a training from outside."""


@pytest.fixture(scope="module")
def trained(
    corpus: Corpus, make_profile: Make, tiny_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """One training with frozen encoders."""
    home = tmp_path_factory.mktemp("trained")
    settings = Settings(home=home, models=tiny_models)
    return train(*corpus, home / "model", make_profile(), settings)


def table_without(path: Path, out: Path, keep: Callable[[dict], bool]) -> Path:
    """The examples for which `keep` holds, in a file of their own."""
    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist(list(filter(keep, table.to_pylist())), table.schema), out)
    return out


def weights(model: Path) -> dict[str, np.ndarray]:
    return load_file(model / "model.safetensors")


def test_a_version_is_whole(trained: TrainResult) -> None:
    assert {p.name for p in trained.model.iterdir()} == {
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
    }
    assert {oct(p.stat().st_mode)[-3:] for p in trained.model.iterdir()} == {"644"}
    assert trained.training_examples == dict.fromkeys(EMOTIONS, 4)
    assert trained.validation_examples == dict.fromkeys(EMOTIONS, 4)


def test_it_learns_the_tones(trained: TrainResult, corpus: Corpus) -> None:
    examples, recordings = corpus
    audio = {recording.name: recording.audio for recording in recordings}
    held = [row for row in pq.read_table(examples).to_pylist() if row["fold"] == "fold2"]
    clips = [(read_audio(audio[r["recording"]], r["start"], r["end"]), r["text"]) for r in held]
    probabilities, _ = predict(trained.model, clips)
    right = [
        EMOTIONS[i] == r["emotion"] for i, r in zip(probabilities.argmax(1), held, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_history_has_the_curves_and_the_best_epoch(trained: TrainResult) -> None:
    history = json.loads((trained.model / "history.json").read_text())
    assert history["epochs"] == trained.history
    assert [entry["epoch"] for entry in trained.history] == list(range(1, len(trained.history) + 1))
    wanted = {"epoch", "training_loss", "learning_rate", "validation_loss", "validation_accuracy"}
    assert all(wanted <= entry.keys() for entry in trained.history)
    scores = [entry["validation_macro_f1"] for entry in trained.history]
    assert history["best_epoch"] == trained.best_epoch == 1 + int(np.argmax(scores))
    assert trained.validation["macro_f1"] == max(scores)


def test_golden_answers_come_back_from_torch_and_onnx(trained: TrainResult) -> None:
    clips, probabilities, embeddings = read_golden(trained.model / "golden.safetensors")
    assert len(clips) == len(probabilities) >= 4
    graph = OnnxModel(trained.model / "model.onnx")
    for (audio, ids), wanted, vector in zip(clips, probabilities, embeddings, strict=True):
        given, embedding = graph.run([audio], [ids])
        assert np.abs(given[0] - wanted).max() < 1e-4
        assert np.abs(embedding[0] - vector).max() < 1e-4
    # All together in one padded batch, they answer as alone.
    given, _ = graph.run([audio for audio, _ in clips], [ids for _, ids in clips])
    assert np.abs(given - probabilities).max() < 1e-4


def test_drift_reference_is_what_the_model_says(trained: TrainResult, corpus: Corpus) -> None:
    rows = pq.read_table(trained.model / "drift_reference.parquet").to_pylist()
    assert [row["part"] for row in rows] == ["training"] * 16 + ["validation"] * 16
    first, recording = rows[0], corpus[1][0]
    clip = (read_audio(recording.audio, 0.0, 0.3), "no stop")
    probabilities, embedding = predict(trained.model, [clip])
    assert first["recording"] == "r0" and first["label"] == "angry"
    assert first["probabilities"] == pytest.approx(probabilities[0], abs=1e-5)
    assert first["embedding"] == pytest.approx(embedding[0], abs=1e-4)
    assert first["emotion"] == EMOTIONS[int(probabilities[0].argmax())]
    assert first["confidence"] == pytest.approx(max(first["probabilities"]))
    assert first["duration"] == pytest.approx(0.3)
    assert first["words_per_second"] == pytest.approx(2 / 0.3, rel=1e-4)
    assert first["loudness_db"] == pytest.approx(-17, abs=1)
    assert first["asr_confidence"] == pytest.approx(0.9)


def test_the_card_names_data_protocol_and_prohibitions(trained: TrainResult) -> None:
    card = (trained.model / "model_card.md").read_text()
    assert "| training | 2 | 4 | 4 | 4 | 4 | 16 |" in card
    assert "The test part (fold2) was neither fitted nor looked at" in card
    assert "synthetic" in card
    assert "prohibited in the European Union" in card


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


@pytest.mark.parametrize("freeze_encoders", [True, False])
def test_a_killed_training_goes_on_to_the_same_result(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path, freeze_encoders: bool
) -> None:
    profile = make_profile(freeze_encoders=freeze_encoders, epochs=4)
    through = train(*corpus, tmp_path / "through", profile, settings)
    steps: list[int] = []

    def kill_after_two_epochs(done: int, total: int) -> None:
        steps.append(done)
        if done == total - 1:
            raise Killed

    with pytest.raises(Killed):
        train(*corpus, tmp_path / "model", profile, settings, kill_after_two_epochs)
    assert not (tmp_path / "model").exists()
    (work,) = settings.cache.glob("training/*/*")
    checkpoint = last_whole_checkpoint(work)
    assert checkpoint and len(read_history(checkpoint)) == 2
    # A checkpoint cut short by the kill is not taken.
    shutil.copytree(checkpoint, work / "checkpoint-999")
    (work / "checkpoint-999" / "trainer_state.json").unlink()
    steps.clear()
    resumed = train(*corpus, tmp_path / "model", profile, settings, lambda n, _: steps.append(n))
    assert [step for step in steps if step > 32] == [32 + 2, 32 + 3, 32 + 4, 32 + 4]
    assert resumed.history == through.history
    assert resumed.digest == through.digest
    assert not list(settings.cache.glob("training/*/*"))


def test_a_training_killed_while_writing_the_version_is_not_fitted_again(
    trained: TrainResult,
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("components.train.version.write_golden", full)
        with pytest.raises(OSError, match="no space"):
            train(*corpus, tmp_path / "model", make_profile(), settings)
    assert not (tmp_path / "model").exists()
    steps: list[int] = []
    again = train(
        *corpus, tmp_path / "model", make_profile(), settings, lambda n, _: steps.append(n)
    )
    assert [step for step in steps if step > 32] == [32 + len(trained.history), 32 + 6]
    assert again.digest == trained.digest


def test_it_stops_when_no_epoch_is_better_for_long_also_when_resumed(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    # Too slow to learn: the first epoch stays the best.
    profile = make_profile(epochs=6, patience=3, learning_rate=1e-9)

    def kill_in_the_third_epoch(done: int, total: int) -> None:
        if done == total - 3:
            raise Killed

    with pytest.raises(Killed):
        train(*corpus, tmp_path / "model", profile, settings, kill_in_the_third_epoch)
    result = train(*corpus, tmp_path / "model", profile, settings)
    assert [entry["epoch"] for entry in result.history] == [1, 2, 3, 4]
    assert result.best_epoch == 1


def test_checkpoints_cost_little_by_default(
    corpus: Corpus, make_profile: Make, tiny_models: Path, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, models=tiny_models)

    def kill_in_the_last_epoch(done: int, total: int) -> None:
        if done == total:
            raise Killed

    with pytest.raises(Killed):
        train(*corpus, tmp_path / "model", make_profile(), settings, kill_in_the_last_epoch)
    # Six epochs took no half minute: losing them is cheaper than writing them down.
    assert not list(settings.cache.glob("training/*/*/*"))


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
    clips, probabilities, embeddings = read_golden(result.model / "golden.safetensors")
    graph = OnnxModel(result.model / "model.onnx")
    given, vectors = graph.run([audio for audio, _ in clips], [ids for _, ids in clips])
    assert np.abs(given - probabilities).max() < 1e-4
    assert np.abs(vectors - embeddings).max() < 1e-4
    turn = (read_audio(corpus[1][0].audio, 0.0, 0.3), "no stop")
    by_torch, by_graph = predict(model, [turn])[0], predict(result.model, [turn])[0]
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
    states = [load_file(path) for path in settings.cache.glob("states/*/*.safetensors")]
    assert {len(s["weights"]) for s in states} == {1, 2}


def test_the_test_fold_changes_nothing(
    trained: TrainResult, corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    examples, recordings = corpus
    fewer = table_without(examples, tmp_path / "e.parquet", lambda row: row["fold"] != "fold2")
    without = train(fewer, recordings[:4], tmp_path / "model", make_profile(), settings)
    assert without.digest == trained.digest


def test_shares_of_the_recordings_are_held_out_and_feedback_never_is() -> None:
    rows = [Row(f"call-{n}", "all", 0.0, 1.0, "", n % 4, None) for n in range(100)]
    rows += [Row(f"call-{n}", FEEDBACK, 0.0, 1.0, "", n % 4, None) for n in range(100)]
    protocol = ProtocolSettings(test_share=0.2, validation_share=0.2)
    split = split_rows(rows, protocol)
    assert sum(row.fold == FEEDBACK for row in split.training) == 100
    assert {row.fold for row in split.validation} == {"all"}
    for row in split.training + split.validation:
        assert protocol.part(row.recording, row.fold) != "test"
    assert 50 < sum(row.fold == "all" for row in split.training) < 70


def test_one_fold_may_lack_an_emotion_and_is_named(
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = {"r0": "sad", "r3": "angry", "r2": "angry"}
    table = pq.read_table(corpus[0]).to_pylist()
    for row in table:
        # Two folds to train on: r0 is one, r1 another.
        row["fold"] = {"r0": "fold0", "r1": "fold3"}.get(row["recording"], row["fold"])
    rows = [row for row in table if row["emotion"] != kept.get(row["recording"])]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "e.parquet")
    with caplog.at_level(logging.WARNING, "components.train"):
        result = train(
            tmp_path / "e.parquet", corpus[1], tmp_path / "model", make_profile(epochs=1), settings
        )
    assert "fold fold0 has no sad example" in caplog.text
    assert "validation (fold1) has no angry example" in caplog.text
    assert result.training_examples["sad"] == 2
    assert result.validation_examples["angry"] == 0
    assert all(np.isfinite(value) for value in result.history[0].values())


def test_bad_examples_are_refused_in_one_line(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    examples, recordings = corpus
    out, profile = tmp_path / "model", make_profile()
    empty = table_without(examples, tmp_path / "1.parquet", lambda row: row["fold"] != "fold1")
    one = table_without(
        examples,
        tmp_path / "2.parquet",
        lambda row: row["fold"] != "fold0" or row["emotion"] == "sad",
    )
    single = table_without(
        examples,
        tmp_path / "6.parquet",
        lambda row: row["fold"] != "fold1" or row["emotion"] == "happy",
    )
    none = table_without(examples, tmp_path / "7.parquet", lambda row: row["fold"] != "fold0")
    lacking = tmp_path / "3.parquet"
    pq.write_table(pq.read_table(examples).drop_columns(["text"]), lacking)
    (tmp_path / "4.parquet").write_text("not parquet")
    cases = [
        (
            empty,
            recordings,
            r"validation part \(fold1\) has no examples; there are of the folds fold0, fold2",
        ),
        (one, recordings, r"no angry or happy or neutral in the training folds \(fold0\)"),
        (single, recordings, r"the validation part \(fold1\) has only happy"),
        (none, recordings, r"the test \(fold2\) and validation parts \(fold1\) there is nothing"),
        (lacking, recordings, "3.parquet: lacks the column text"),
        (tmp_path / "4.parquet", recordings, "4.parquet: is not Parquet"),
        (tmp_path / "5.parquet", recordings, "5.parquet: no such file"),
        (examples, recordings[1:], "r0: has examples but is not in the corpus"),
    ]
    for path, corpus_recordings, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            train(path, corpus_recordings, out, profile, settings)
        assert "\n" not in str(caught.value)
        assert not out.exists()
    both = profile.protocol.model_copy(update={"test_fold": "fold1"})
    with pytest.raises(InputError, match="fold1 cannot be both"):
        train(examples, recordings, out, profile.model_copy(update={"protocol": both}), settings)


def test_sound_that_is_not_numbers_is_refused(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    import soundfile

    examples, recordings = corpus
    broken = Recording("r1", tmp_path / "r1.wav", "fold0", False, ())
    soundfile.write(broken.audio, np.full(60_000, np.nan, "f4"), 16_000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"r1\.wav: has samples that are not numbers"):
        train(
            examples,
            [recordings[0], broken, *recordings[2:]],
            tmp_path / "model",
            make_profile(),
            settings,
        )


def test_a_missing_encoder_is_named(corpus: Corpus, make_profile: Make, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, models=tmp_path / "none")
    with pytest.raises(InputError, match="tiny-wave: no such speech encoder"):
        train(*corpus, tmp_path / "model", make_profile(), settings)


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
