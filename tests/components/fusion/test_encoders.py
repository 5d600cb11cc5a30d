"""Any Hugging Face encoder by name: what fits works through training, saving, ONNX and batches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    PreTrainedTokenizerFast,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from components.base import InputError
from components.fusion import Clip, OnnxModel, predict
from components.fusion.export import export_onnx
from components.fusion.model import MoodlineModel, load_model
from components.fusion.onnx_model import pad
from tests.components.fusion.conftest import FORMS

Make = Callable[..., str]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
WAVE = {
    **SIZES,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "layerdrop": 0.5,
}
WORDS = {**SIZES, "vocab_size": 40, "max_position_embeddings": 24}
NAMED: dict[str, dict[str, Any]] = {
    "whisper": {"d_model": 48, "encoder_layers": 1, "encoder_attention_heads": 4,
                "encoder_ffn_dim": 64, "decoder_layers": 1, "decoder_attention_heads": 4,
                "decoder_ffn_dim": 32, "vocab_size": 60, "pad_token_id": 3, "bos_token_id": 1,
                "eos_token_id": 2, "decoder_start_token_id": 1},
    "wav2vec2": {**WAVE, "feat_extract_norm": "group"},
    "hubert": {**WAVE, "feat_extract_norm": "layer", "do_stable_layer_norm": True},
    "wavlm": WAVE,
    "unispeech-sat": WAVE,
    "data2vec-audio": {**WAVE, "num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5},
    "bert": WORDS,
    "roberta": {**WORDS, "max_position_embeddings": 26, "pad_token_id": 1},
    "distilbert": {"dim": 32, "n_layers": 1, "n_heads": 4, "hidden_dim": 48, "vocab_size": 40,
                   "max_position_embeddings": 24},
    "mpnet": {**WORDS, "max_position_embeddings": 26, "pad_token_id": 1},
    "electra": {**WORDS, "embedding_size": 16},
    "albert": {**WORDS, "embedding_size": 16},
    "deberta-v2": {**WORDS, "relative_attention": True, "pos_att_type": ["c2p", "p2c"],
                   "position_buckets": 8, "max_relative_positions": 24, "share_att_key": True,
                   "norm_rel_ebd": "layer_norm", "position_biased_input": False},
    "deberta": {**WORDS, "relative_attention": True, "pos_att_type": ["c2p", "p2c"],
                "max_relative_positions": 24},
    "camembert": {**WORDS, "max_position_embeddings": 26, "pad_token_id": 1},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4, "vocab_size": 40},
    "vit": {**SIZES, "image_size": 32, "patch_size": 16},
}  # fmt: skip
SPEECH = ["whisper", "wav2vec2", "hubert", "wavlm", "unispeech-sat"]
TEXT = ["bert", "roberta", "distilbert", "mpnet", "electra", "albert", "deberta", "deberta-v2",
        "camembert"]  # fmt: skip


@pytest.fixture(scope="module")
def make_encoder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Make:
    """The folder of a pretrained encoder as the hub has it, tiny and random."""
    home = tmp_path_factory.mktemp("encoders")

    def make(kind: str) -> str:
        folder = home / kind
        if not folder.exists():
            torch.manual_seed(0)
            AutoModel.from_config(CONFIG_MAPPING[kind](**NAMED[kind])).save_pretrained(folder)
            if kind in ("whisper", *SPEECH):
                extract = WhisperFeatureExtractor if kind == "whisper" else Wav2Vec2FeatureExtractor
                extract().save_pretrained(folder)
            else:
                fast = PreTrainedTokenizerFast(
                    tokenizer_object=tokenizer, pad_token="[PAD]", model_max_length=24
                )
                fast.save_pretrained(folder)
        return str(folder)

    return make


@pytest.mark.parametrize(
    ("speech", "text", "form"),
    [
        *((kind, "bert", form) for kind in SPEECH for form in ("pooled", "shortcut")),
        *(("whisper", kind, "pooled") for kind in TEXT[1:]),
    ],
)
def test_an_encoder_named_is_trained_saved_exported_and_served(
    make_encoder: Make,
    tokenizer: Tokenizer,
    clips: list[Clip],
    tmp_path: Path,
    speech: str,
    text: str,
    form: str,
) -> None:
    model = MoodlineModel.from_encoders(
        make_encoder(speech), make_encoder(text), heads=4, feed_forward=32, **FORMS[form]
    )
    for _ in range(2):  # a shortcut's classifier begins at 0: what is below it moves one step later
        step(model)
    if form == "shortcut":
        assert model.head.acoustic.layer_weights.abs().min() > 0, "the mix is learned"
        assert model.head.shortcut.weight.abs().min() > 0
    model.save_pretrained(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = load_model(tmp_path)
    export_onnx(again, tmp_path / "model.onnx")
    graph = OnnxModel(tmp_path / "model.onnx")
    alone, vectors = predict(model.eval(), clips, batch_size=1, tokenizer=tokenizer)
    for other in (again, graph):
        given, embeddings = predict(other, clips, batch_size=len(clips), tokenizer=tokenizer)
        assert np.abs(given - alone).max() < 1e-4
        assert np.abs(embeddings - vectors).max() < 1e-4


def step(model: MoodlineModel) -> None:
    """Train one step; every weight must have had its part, or `torchrun` would stop."""
    model.train()
    noise = np.random.default_rng(0)
    audio = [(0.1 * noise.standard_normal(n)).astype("f4") for n in (9000, 5000)]
    arrays = (*pad(audio, np.float32), *pad([[2, 7, 9, 5, 3], [2, 8, 3]], np.int64))
    batch = [torch.from_numpy(array) for array in arrays]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    torch.nn.functional.cross_entropy(model(*batch).logits, torch.tensor([0, 3])).backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []
    optimizer.step()


@pytest.mark.parametrize("kind", ["data2vec-audio", "vit", "bert"])
def test_a_speech_encoder_that_does_not_fit_is_refused_in_one_line(
    make_encoder: Make, kind: str
) -> None:
    with pytest.raises(InputError, match=f"{kind} is not supported; use wav2vec2") as caught:
        MoodlineModel.from_encoders(make_encoder(kind), make_encoder("bert"), heads=4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["t5", "whisper", "wav2vec2"])
def test_a_text_encoder_that_does_not_fit_is_refused_in_one_line(
    make_encoder: Make, kind: str
) -> None:
    with pytest.raises(InputError, match=r"text encoder: .* is not supported; use") as caught:
        MoodlineModel.from_encoders(make_encoder("whisper"), make_encoder(kind), heads=4)
    assert "\n" not in str(caught.value)
