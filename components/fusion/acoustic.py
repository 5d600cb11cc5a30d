"""Speech encoders: raw waveforms in, states of the clips' own frames out.

Each takes a padded batch and answers for every clip as if it were alone. With `all_layers` a
frame's states are those of all layers, one after the other, in Hugging Face's order of
`hidden_states`: the input of the first layer, then every layer's output; L layers give (L + 1) × d.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from components.base import InputError
from components.fusion.frontend import (
    LogMel,
    length_mask,
    masked_group_norm,
    zero_mean_unit_variance,
)

NO_SPEECH = "acoustic encoder: {} is not supported; use wav2vec2, hubert, wavlm or whisper"


class WhisperFrames(nn.Module):
    """Whisper's encoder over a clip's own frames, 50 a second, not over 30 s of padding.

    The layers are Hugging Face's; the positions are cut to the clip.
    """

    def __init__(self, config: PretrainedConfig, all_layers: bool = False) -> None:
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        super().__init__()
        self.all_layers = all_layers
        self.log_mel = LogMel(config.num_mel_bins)
        make: Any = WhisperEncoder
        self.encoder: Any = make(config)

    def forward(
        self, audio: Tensor, lengths: Tensor, *, all_layers: bool = False
    ) -> tuple[Tensor, Tensor]:
        """[B, T] samples and [B] lengths → states [B, F, d_a] (of all layers) and frames [B]."""
        encoder, all_layers = self.encoder, all_layers or self.all_layers
        features, frames = self.log_mel(audio, lengths)
        states = nn.functional.gelu(encoder.conv1(features))
        states = states * length_mask(frames, states.shape[2])[:, None]
        states = nn.functional.gelu(encoder.conv2(states)).transpose(1, 2)
        frames = (frames + 1) // 2
        states = states + encoder.embed_positions.weight[: states.shape[1]]
        states = nn.functional.dropout(states, encoder.dropout, self.training)
        hidden = ~length_mask(frames, states.shape[1])[:, None, None, :]
        bias = hidden.to(states.dtype) * torch.finfo(states.dtype).min
        hidden_states = []
        for layer in encoder.layers:
            hidden_states.append(states)
            states = layer(states, bias, None)[0]
        states = encoder.layer_norm(states)
        return torch.cat([*hidden_states, states], -1) if all_layers else states, frames


class WaveFrames(nn.Module):
    """wav2vec 2.0 and its kin (HuBERT, WavLM, …) with every normalisation over real samples only.

    The convolutions take most of a base-size step on a CPU, and one of them normalises over time:
    they see each clip by itself, and what is padded is their frames. A clip shorter than one frame
    is followed by silence to make one. Hugging Face's random masking of the input (SpecAugment)
    and of whole layers (LayerDrop) is left out, so that training sees the function that is served,
    and every weight in every step.
    """

    def __init__(self, config: PretrainedConfig, normalize: bool, all_layers: bool = False) -> None:
        super().__init__()
        self.normalize = normalize
        self.all_layers = all_layers
        self.encoder: Any = AutoModel.from_config(config)
        self.encoder.config.layerdrop = 0.0
        if hasattr(self.encoder, "masked_spec_embed"):
            # Only that masking uses it; a weight that nothing trains would stop `torchrun`.
            del self.encoder.masked_spec_embed
        self.receptive = 1
        for kernel, stride in list(zip(config.conv_kernel, config.conv_stride, strict=True))[::-1]:
            self.receptive = (self.receptive - 1) * stride + kernel

    def forward(
        self, audio: Tensor, lengths: Tensor, *, all_layers: bool = False
    ) -> tuple[Tensor, Tensor]:
        """[B, T] samples and [B] lengths → states [B, F, d_a] (of all layers) and frames [B]."""
        all_layers = all_layers or self.all_layers
        if self.normalize:
            audio = zero_mean_unit_variance(audio, lengths)
        audio = nn.functional.pad(audio, (0, self.receptive))
        lengths = lengths.clamp_min(self.receptive)
        traced = torch.jit.is_tracing() or torch.compiler.is_compiling()
        states, frames = (self._convolve_batch if traced else self._convolve_each)(audio, lengths)
        projected = self.encoder.feature_projection(states)
        if isinstance(projected, tuple):
            projected = projected[0]
        mask = length_mask(frames, projected.shape[1])
        output = self.encoder.encoder(
            projected, attention_mask=mask, output_hidden_states=all_layers, return_dict=True
        )
        states = output.last_hidden_state
        return torch.cat(output.hidden_states, -1) if all_layers else states, frames

    def _convolve_each(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The convolutions over each clip alone: [B, T] and [B] → [B, F, C] and frames [B]."""
        clips = []
        for clip, length in zip(audio, lengths.tolist(), strict=True):
            states = clip[None, None, :length]
            for layer in self.encoder.feature_extractor.conv_layers:
                states = layer(states)
            clips.append(states[0].T)
        frames = torch.tensor([len(clip) for clip in clips], device=lengths.device)
        return pad_sequence(clips, batch_first=True), frames

    def _convolve_batch(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The same for a graph, which has no loop over clips: their padding is masked."""
        states, frames = audio[:, None], lengths
        for layer in self.encoder.feature_extractor.conv_layers:
            frames = (frames - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1
            states = _convolve(layer, states, frames)
        return states.transpose(1, 2), frames


def _convolve(layer: Any, states: Tensor, frames: Tensor) -> Tensor:
    """A layer of the feature extractor: [B, C, T] → [B, C', T'], `frames` [B] of them real."""
    states = layer.conv(states)
    norm = getattr(layer, "layer_norm", None)
    if isinstance(norm, nn.GroupNorm):
        states = masked_group_norm(states, frames, norm)
    elif norm is not None:
        states = norm(states.transpose(1, 2)).transpose(1, 2)
    return layer.activation(states)


def acoustic_encoder(
    config: PretrainedConfig, normalize: bool, all_layers: bool = False
) -> WhisperFrames | WaveFrames:
    """The wrapper for a speech encoder's architecture, with fresh weights.

    Raises:
        InputError: an architecture that is neither Whisper's nor of wav2vec 2.0's kind.
    """
    if config.model_type == "whisper":
        return WhisperFrames(config, all_layers)
    if all(hasattr(config, name) for name in ("conv_kernel", "conv_stride")):
        wave = WaveFrames(config, normalize, all_layers)
        parts = ("feature_extractor", "feature_projection", "encoder")
        if all(hasattr(wave.encoder, part) for part in parts):
            return wave
    raise InputError(NO_SPEECH.format(config.model_type))


def load_acoustic_encoder(name: str, config: PretrainedConfig) -> PreTrainedModel:
    """The pretrained weights of a speech encoder: a folder or a hub name → Hugging Face's model.

    Raises:
        InputError: no such model, or weights that do not fit its configuration.
    """
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    try:
        if config.model_type == "whisper":
            # Checkpoints hold the decoder too; only the encoder is made and filled.
            keys = {r"^(model\.)?encoder\.": ""}
            model, info = WhisperEncoder.from_pretrained(
                name, config=config, key_mapping=keys, output_loading_info=True
            )
        else:
            model, info = AutoModel.from_pretrained(name, config=config, output_loading_info=True)
    except OSError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{name}: no such speech encoder: {reason}") from error
    missing = [k for k in info["missing_keys"] if "masked_spec_embed" not in k]
    if missing:
        raise InputError(f"{name}: the checkpoint lacks {missing[0]} of {config.model_type}")
    return model


def normalizes_audio(name: str) -> bool:
    """Whether an encoder's preprocessor asks for zero mean and unit variance."""
    from transformers import AutoFeatureExtractor

    if Path(name).is_dir() and not (Path(name) / "preprocessor_config.json").exists():
        return False
    return bool(getattr(AutoFeatureExtractor.from_pretrained(name), "do_normalize", False))
