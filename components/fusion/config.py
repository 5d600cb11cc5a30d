"""The configuration of a Moodline model, in Hugging Face's form."""

import math
from collections.abc import Sequence
from typing import Any

from transformers import CONFIG_MAPPING, PretrainedConfig

from components.base import InputError
from components.conversation import DEFAULT_LABELS, SAMPLE_RATE
from components.fusion.pooling import PARTS, Pooling


class MoodlineConfig(PretrainedConfig):
    """The two encoders' configurations and the head's sizes.

    Args:
        acoustic, text: the encoders' configurations as dictionaries, with their `model_type`.
        attend: "pooled" (the paper: each modality is pooled to one vector, then attends) or
            "frames" (attends over frames and tokens, pools afterwards).
        use_weighted_layer_sum: whether the speech encoder gives the states of all its layers, which
            the head adds up by learned weights (Yang et al. 2021, SUPERB); otherwise its last.
        pooling: of the sound's frames, with `attend: pooled`: "mean" (the paper), or "statistics",
            the mean and the standard deviation. The text's tokens are always averaged.
        linear_shortcut: whether a linear map of the pooled sound, each layer's by itself, is added
            to the fusion's answer; with `attend: pooled`.
        hidden_size: d, the width of the head; 0 takes the text encoder's width.
        heads: of every attention in the head.
        layers, feed_forward: of the fusion Transformer, and the width inside them.
        dropout: in the head.
        max_seconds: the longest clip the model takes whole.
        max_tokens: the longest text, special tokens included.
        normalize_audio: each clip to zero mean and unit variance first, as wav2vec 2.0's
            preprocessor asks.
        labels: the emotions it tells apart, in the order of its answers; they are kept as Hugging
            Face's `id2label` and `label2id`. A configuration without either has the default ones.
        calibration_temperature: what the logits are divided by (Guo et al., 2017), so that
            probabilities are as sure as answers are right; 1 leaves them. (`temperature` alone is
            a name of Hugging Face's for text generation.)
    """

    model_type = "moodline"

    def __init__(
        self,
        acoustic: dict[str, Any] | None = None,
        text: dict[str, Any] | None = None,
        attend: str = "pooled",
        use_weighted_layer_sum: bool = False,
        pooling: Pooling = "mean",
        linear_shortcut: bool = False,
        hidden_size: int = 0,
        heads: int = 8,
        layers: int = 2,
        feed_forward: int = 2048,
        dropout: float = 0.2,
        max_seconds: float = 30.0,
        max_tokens: int = 512,
        normalize_audio: bool = False,
        labels: Sequence[str] | None = None,
        calibration_temperature: float = 1.0,
        **kwargs: Any,
    ) -> None:
        if attend not in ("pooled", "frames"):
            raise InputError(f"attend: {attend!r} is neither 'pooled' nor 'frames'")
        if pooling not in PARTS:
            raise InputError(f"pooling: {pooling!r} is neither 'mean' nor 'statistics'")
        if attend == "frames" and (pooling != "mean" or linear_shortcut):
            what = "linear_shortcut" if linear_shortcut else f"pooling: {pooling}"
            raise InputError(f"{what}: goes with attend: pooled, not with attend: frames")
        self.acoustic = acoustic or {"model_type": "wav2vec2"}
        self.text = text or {"model_type": "roberta"}
        self.attend = attend
        self.use_weighted_layer_sum = use_weighted_layer_sum
        self.pooling: Pooling = pooling
        self.linear_shortcut = linear_shortcut
        self.hidden_size = hidden_size or self.text_config().hidden_size
        if self.hidden_size % heads:
            raise InputError(f"heads: {heads} do not divide a width of {self.hidden_size}")
        self.heads = heads
        self.layers = layers
        self.feed_forward = feed_forward
        self.dropout = dropout
        self.max_seconds = max_seconds
        self.max_tokens = max_tokens
        self.normalize_audio = normalize_audio
        if not 0 < calibration_temperature < math.inf:
            raise InputError(f"calibration_temperature: {calibration_temperature} is not above 0")
        self.calibration_temperature = calibration_temperature
        written = kwargs.pop("id2label", None) or dict(enumerate(DEFAULT_LABELS))
        names = dict(enumerate(labels)) if labels else {int(i): n for i, n in written.items()}
        if sorted(names) != list(range(len(names))):
            raise InputError("config.json: its id2label does not number the labels from 0 on")
        kwargs["label2id"] = {name: i for i, name in names.items()}
        super().__init__(id2label=names, **kwargs)

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that the model tells apart, in the order of its answers."""
        names = self.id2label or {}
        return tuple(names[i] for i in range(len(names)))

    def acoustic_config(self) -> PretrainedConfig:
        """The speech encoder's own configuration."""
        return _config("acoustic", self.acoustic)

    def text_config(self) -> PretrainedConfig:
        """The text encoder's own configuration."""
        return _config("text", self.text)

    @property
    def acoustic_layers(self) -> int:
        """How many layers' states the head gets of the speech encoder, its input among them."""
        if not self.use_weighted_layer_sum:
            return 1
        return int(self.acoustic_config().num_hidden_layers) + 1

    @property
    def acoustic_size(self) -> int:
        """The width of what the head gets of one layer of the speech encoder."""
        return int(self.acoustic_config().hidden_size) * PARTS[self.pooling]

    @property
    def max_samples(self) -> int:
        """The longest clip the model takes whole, in samples."""
        return round(self.max_seconds * SAMPLE_RATE)


def _config(which: str, values: dict[str, Any]) -> PretrainedConfig:
    model_type = str(values.get("model_type"))
    if model_type not in CONFIG_MAPPING:
        raise InputError(f"{which} encoder: {model_type!r} is not a known architecture")
    return CONFIG_MAPPING[model_type].from_dict(dict(values))
