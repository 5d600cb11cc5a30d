"""wav2vec2-base and roberta-base in size and kind (random weights): batched equals single.

The ONNX graph of this size takes half a minute to write; `make bench` checks it.
"""

import numpy as np
import torch

from components.fusion import Window
from components.fusion.config import MoodlineConfig
from components.fusion.model import MoodlineModel
from components.fusion.prediction import answer_batch


def test_a_clip_answers_alone_as_beside_longer_ones_also_in_training() -> None:
    torch.manual_seed(0)
    roberta = {"model_type": "roberta", "vocab_size": 50_265, "max_position_embeddings": 514,
               "type_vocab_size": 1, "hidden_dropout_prob": 0.0,
               "attention_probs_dropout_prob": 0.0}  # fmt: skip
    chances = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout")
    wave = {"model_type": "wav2vec2", **dict.fromkeys(chances, 0.0)}
    model = MoodlineModel(MoodlineConfig(wave, roberta, dropout=0.0, normalize_audio=True))
    noise = np.random.default_rng(0)
    windows = [
        Window(i, (0.1 * noise.standard_normal(n)).astype("f4"), [0, *range(5, 5 + words), 2], 1.0)
        for i, (n, words) in enumerate([(3_000, 1), (16_000, 12), (9_000, 4)])
    ]
    # GroupNorm over time and SpecAugment, LayerDrop: what would make it depend on batch or chance.
    assert model.acoustic.encoder.config.feat_extract_norm == "group"
    assert model.acoustic.encoder.config.mask_time_prob > 0
    for training in (False, True):
        model.train(training)
        together = answer_batch(model, windows)
        alone = np.concatenate([answer_batch(model, [window]) for window in windows])
        assert np.abs(together - alone).max() < 1e-4
        assert np.ptp(alone, axis=0).max() > 1e-3
