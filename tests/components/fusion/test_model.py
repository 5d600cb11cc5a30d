"""The whole model: a clip's answer is its own, whatever the batch and the padding."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy

from components.base import InputError
from components.fusion import Classifier, Clip, predict
from components.fusion.config import MoodlineConfig
from components.fusion.frontend import LogMel
from components.fusion.model import MoodlineModel, keep_layers, load_model
from tests.components.fusion.conftest import FORMS

Make = Callable[..., MoodlineModel]
KINDS = ["whisper", "wav2vec2", "wav2vec2-layer", "hubert", "wavlm"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_does_not_depend_on_the_batch(
    make_model: Make, tokenizer: Tokenizer, clips: list[Clip], kind: str, form: str
) -> None:
    model = make_model(kind, "roberta" if kind == "wavlm" else "bert", **FORMS[form])
    together, vectors = predict(model, clips, batch_size=len(clips), tokenizer=tokenizer)
    assert np.isfinite(together).all() and np.isfinite(vectors).all()
    assert together.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    for i, clip in enumerate(clips):
        alone, vector = predict(model, [clip], tokenizer=tokenizer)
        assert np.abs(alone[0] - together[i]).max() < 1e-4
        assert np.abs(vector[0] - vectors[i]).max() < 1e-4
    # Not because the model answers everything alike.
    assert np.ptp(together, axis=0).max() > 0.01


@pytest.mark.parametrize("kind", ["whisper", "wav2vec2"])
def test_what_the_padding_holds_does_not_matter(make_model: Make, kind: str) -> None:
    model = make_model(kind, "roberta")
    torch.manual_seed(0)
    audio, ids = 0.1 * torch.randn(1, 9000), torch.tensor([[2, 7, 9, 3]])
    rubbish = torch.cat([audio, torch.full((1, 5000), 1e6)], 1)
    wrong = torch.cat([ids, torch.full((1, 3), 11)], 1)
    lengths = torch.tensor([9000]), torch.tensor([4])
    with torch.inference_mode():
        clean = model(audio, lengths[0], ids, lengths[1])
        dirty = model(rubbish, lengths[0], wrong, lengths[1])
    assert torch.allclose(clean.logits, dirty.logits, atol=1e-4)


@pytest.mark.parametrize("kind", ["wav2vec2", "wav2vec2-layer", "hubert", "wavlm"])
def test_one_clip_gives_hugging_faces_own_states(make_model: Make, kind: str) -> None:
    model = make_model(kind)
    torch.manual_seed(0)
    audio = torch.randn(1, 16000)
    normed = (audio - audio.mean()) / torch.sqrt(audio.var(unbiased=False) + 1e-7)
    with torch.inference_mode():
        states, frames = model.acoustic(audio, torch.tensor([16000]))
        reference = model.acoustic.encoder(normed, output_hidden_states=True)
        every, _ = make_model(kind, use_weighted_layer_sum=True).acoustic(
            audio, torch.tensor([16000])
        )
    assert int(frames) == reference.last_hidden_state.shape[1] == 49
    assert torch.allclose(states[:, :49], reference.last_hidden_state, atol=1e-4)
    assert len(reference.hidden_states) == 3
    assert torch.allclose(every[:, :49], torch.cat(reference.hidden_states, -1), atol=1e-4)


def test_log_mel_is_whispers(tmp_path: Path) -> None:
    from transformers import WhisperFeatureExtractor

    torch.manual_seed(0)
    audio = 0.1 * torch.randn(1, 24_000)
    expected = WhisperFeatureExtractor()(
        audio[0].numpy(), sampling_rate=16_000, return_tensors="pt"
    ).input_features
    given, frames = LogMel(80)(audio, torch.tensor([24_000]))
    assert int(frames) == given.shape[2] == 150
    assert torch.allclose(given, expected[:, :, :150], atol=1e-4)


def test_whisper_over_30_seconds_is_hugging_faces_encoder(make_model: Make) -> None:
    model = make_model("whisper")
    torch.manual_seed(0)
    audio = 0.1 * torch.randn(1, 480_000)
    with torch.inference_mode():
        features, _ = model.acoustic.log_mel(audio, torch.tensor([480_000]))
        states, frames = model.acoustic(audio, torch.tensor([480_000]))
        reference = model.acoustic.encoder(features, output_hidden_states=True)
        mixed = make_model("whisper", use_weighted_layer_sum=True)
        every, _ = mixed.acoustic(audio, torch.tensor([480_000]))
    assert int(frames) == 1500
    assert torch.allclose(states, reference.last_hidden_state, atol=1e-4)
    assert len(reference.hidden_states) == 3
    assert torch.allclose(every, torch.cat(reference.hidden_states, -1), atol=1e-4)


def test_saved_and_loaded_it_answers_the_same(
    make_model: Make, tokenizer: Tokenizer, clips: list[Clip], tmp_path: Path
) -> None:
    model = make_model("hubert", "roberta", attend="frames", max_seconds=7.5)
    model.save_pretrained(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = load_model(tmp_path)
    assert again.config.to_dict().keys() == model.config.to_dict().keys()
    assert (again.config.attend, again.config.max_seconds) == ("frames", 7.5)
    assert not again.training
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    assert np.array_equal(
        Classifier(tmp_path)(clips[:3]), predict(model, clips[:3], tokenizer=tokenizer)[0]
    )


def test_one_that_remembers_asks_once_and_answers_the_same(
    make_model: Make, tokenizer: Tokenizer, clips: list[Clip], tmp_path: Path
) -> None:
    """Another sound or other words are asked for; other spellings of the same words are not."""
    make_model("hubert", max_seconds=1.5).save_pretrained(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    plain = Classifier(tmp_path)
    asked, runs = plain.remembering(), []
    plain.model.register_forward_hook(lambda *_: runs.append(1))
    expected = plain(clips)
    windows = len(runs)
    assert windows > len(clips)  # one of them is cut
    assert np.array_equal(asked(clips), expected)
    assert np.array_equal(asked(clips[::-1]), expected[::-1])
    assert len(runs) == 2 * windows
    spaced = [(audio, f" {words}  ") for audio, words in clips]
    assert np.array_equal(asked(spaced), expected)
    assert len(runs) == 2 * windows
    assert np.array_equal(plain(clips), expected)  # the other still asks each time
    assert len(runs) == 3 * windows
    audio, words = clips[3]
    for other in ((audio / 2, words), (audio, "no")):
        before = len(runs)
        assert np.array_equal(asked([other]), plain([other]))
        assert len(runs) == before + 2


def test_a_folder_of_another_kind_is_refused(make_model: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no model"):
        load_model(tmp_path / "nothing")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="a bert checkpoint, not a Moodline model"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="is not a model's configuration"):
        load_model(tmp_path)


def test_a_version_that_is_not_ours_is_refused(
    make_model: Make, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}')
    with pytest.raises(InputError, match="a wav2vec2 checkpoint, not a Moodline model"):
        Classifier(tmp_path)
    make_model().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="holds no tokenizer"):
        Classifier(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert isinstance(Classifier(tmp_path).model, MoodlineModel)
    for graph in (b"junk", foreign_graph()):
        (tmp_path / "model.onnx").write_bytes(graph)
        with pytest.raises(InputError, match=r"model\.onnx: is not the graph of a Moodline model"):
            Classifier(tmp_path)


def foreign_graph() -> bytes:
    """A graph that does nothing, and says nothing of emotions."""
    import onnx

    text = '<ir_version: 8, opset_import: ["" : 13]> g (float[n] x) => (float[n] y) { y = Relu(x) }'
    return onnx.parser.parse_model(text).SerializeToString()


def test_weights_of_another_architecture_are_refused(make_model: Make, tmp_path: Path) -> None:
    make_model("hubert").save_pretrained(tmp_path / "one")
    make_model("whisper").save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other/model.safetensors", tmp_path / "one/model.safetensors")
    with pytest.raises(InputError, match="another architecture"):
        load_model(tmp_path / "one")
    config = json.loads((tmp_path / "other/config.json").read_text())
    config["feed_forward"] = 32
    (tmp_path / "other/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="other"):
        load_model(tmp_path / "other")
    (tmp_path / "one/model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(tmp_path / "one")


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InputError, match="neither 'pooled' nor 'frames'"):
        MoodlineConfig(attend="both")
    with pytest.raises(InputError, match="'max' is neither 'mean' nor 'statistics'"):
        MoodlineConfig(pooling="max")
    for key, value in (("pooling", "statistics"), ("linear_shortcut", True)):
        with pytest.raises(InputError, match=f"{key}.*: goes with attend: pooled"):
            MoodlineConfig(attend="frames", **{key: value})
    with pytest.raises(InputError, match="7 do not divide a width of 768"):
        MoodlineConfig(heads=7)
    with pytest.raises(InputError, match="'walkman' is not a known architecture"):
        MoodlineConfig(text={"model_type": "walkman"})
    with pytest.raises(InputError, match="bert is not supported"):
        MoodlineModel(MoodlineConfig({"model_type": "bert"}, {"model_type": "bert"}))
    with pytest.raises(InputError, match="no such speech encoder"):
        MoodlineModel.from_encoders("/nowhere/speech", "/nowhere/text")


def test_the_upper_layers_can_be_left_out() -> None:
    from transformers import Wav2Vec2Config, WhisperConfig

    whisper, wave = WhisperConfig(encoder_layers=4), Wav2Vec2Config(num_hidden_layers=12)
    keep_layers(whisper, "w", 1)
    keep_layers(wave, "v", None)
    assert (whisper.encoder_layers, wave.num_hidden_layers) == (1, 12)
    for count in (0, 13):
        with pytest.raises(InputError, match=f"v: has 12 layers; {count} of them"):
            keep_layers(wave, "v", count)


def test_too_long_a_clip_is_refused(make_model: Make) -> None:
    model = make_model(max_seconds=1.0)
    one = torch.tensor([1])
    with pytest.raises(InputError, match="16001 samples"):
        model(torch.zeros(1, 16_001), one, torch.tensor([[2, 3]]), one + 1)
    with pytest.raises(InputError, match="25 tokens"):
        model(torch.zeros(1, 100), one, torch.full((1, 25), 3), one + 24)


def test_training_sees_the_function_that_is_served(make_model: Make) -> None:
    """A padded batch's gradient is the mean of its clips' own (dropout aside)."""
    model = make_model("wav2vec2").eval()
    torch.manual_seed(0)
    audio, ids = 0.1 * torch.randn(2, 12_000), torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
    samples, tokens = torch.tensor([12_000, 4_321]), torch.tensor([4, 3])
    labels = torch.tensor([1, 3])
    norm = model.acoustic.encoder.feature_extractor.conv_layers[0].layer_norm
    cross_entropy(model(audio, samples, ids, tokens).logits, labels).backward()
    together = norm.weight.grad.clone()
    model.zero_grad()
    for i in range(2):
        one = audio[i : i + 1, : samples[i]], samples[i : i + 1]
        words = ids[i : i + 1, : tokens[i]], tokens[i : i + 1]
        (cross_entropy(model(*one, *words).logits, labels[i : i + 1]) / 2).backward()
    assert together.abs().max() > 1e-4
    assert torch.allclose(together, norm.weight.grad, atol=1e-5)
