"""Tiny random encoders of every supported kind, and a word tokenizer."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from components.fusion import Clip
from components.fusion.config import MoodlineConfig
from components.fusion.model import MoodlineModel
from tests.tiny import word_tokenizer

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
WAVE = {
    **SIZES,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
ACOUSTIC: dict[str, dict[str, Any]] = {
    "whisper": {
        "model_type": "whisper",
        "d_model": 48,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
    },
    # GroupNorm over time after the first convolution, as in wav2vec2-base.
    "wav2vec2": {"model_type": "wav2vec2", "feat_extract_norm": "group", **WAVE},
    # LayerNorm after each convolution, as in the large models.
    "wav2vec2-layer": {
        "model_type": "wav2vec2",
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        **WAVE,
    },
    "hubert": {"model_type": "hubert", **WAVE},
    "wavlm": {"model_type": "wavlm", **WAVE},
}
TEXT: dict[str, dict[str, Any]] = {
    "bert": {"model_type": "bert", "vocab_size": 40, "max_position_embeddings": 24, **SIZES},
    "roberta": {
        "model_type": "roberta",
        "vocab_size": 40,
        "max_position_embeddings": 26,
        "pad_token_id": 1,
        **SIZES,
    },
}
FORMS: dict[str, dict[str, Any]] = {
    "pooled": {},
    "frames": {"attend": "frames"},
    "statistics": {"pooling": "statistics"},
    "mixed": {"use_weighted_layer_sum": True},
    "mixed-statistics": {"use_weighted_layer_sum": True, "pooling": "statistics"},
    "shortcut": {
        "use_weighted_layer_sum": True,
        "pooling": "statistics",
        "linear_shortcut": True,
        "hidden_size": 16,
    },
    "mixed-frames": {"attend": "frames", "use_weighted_layer_sum": True},
}
"""Every way in which the head takes the encoders' states."""
WORDS = ["no", "yes", "the", "room", "lost", "gone", "a", "we", "will", "go", "now", "what"]


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> Iterator[None]:
    """torch with one thread: work this small is only slowed down by sharing it out."""
    from components.train.states import one_thread

    with one_thread():
        yield


@pytest.fixture(scope="session")
def make_model() -> Callable[..., MoodlineModel]:
    """A model with random weights; lively enough that a wrong mask shows in its answers."""

    def make(acoustic: str = "whisper", text: str = "bert", **settings: Any) -> MoodlineModel:
        torch.manual_seed(1)
        config = MoodlineConfig(
            ACOUSTIC[acoustic],
            TEXT[text],
            heads=4,
            feed_forward=64,
            max_tokens=24,
            normalize_audio=acoustic != "whisper",
            **settings,
        )
        model = MoodlineModel(config).eval()
        with torch.no_grad():
            for parameter in model.acoustic.parameters():
                parameter.mul_(1.5)
            model.head.classifier.weight.mul_(3.0)
            if model.config.use_weighted_layer_sum:
                model.head.acoustic.layer_weights.normal_()
            if model.head.shortcut is not None:  # both begin at 0
                model.head.shortcut.weight.normal_(std=0.1)
                model.head.classifier.weight.normal_()
        return model

    return make


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Words to ids, [CLS] and [SEP] around them."""
    return word_tokenizer(WORDS)


@pytest.fixture(scope="session")
def clips() -> list[Clip]:
    """Turns of all lengths: one sample, under one frame, seconds; silence; no words."""
    noise = np.random.default_rng(3)
    lengths = {1: "", 161: "no", 399: "yes", 5000: "the room", 16000: "", 40000: "we will go now"}
    clips: list[Clip] = []
    for level, (length, text) in enumerate(lengths.items(), start=1):
        # A loud neighbour must not matter either.
        clips.append(((0.02 * level * noise.standard_normal(length)).astype("f4"), text))
    return [*clips, (np.zeros(12345, dtype=np.float32), "lost gone lost")]
