"""From a padded batch of waveforms to an encoder's input, each clip by itself.

Every function takes the clips' true lengths; padding never changes an answer.
"""

import math

import torch
from torch import Tensor, nn

N_FFT = 400
HOP = 160


def length_mask(lengths: Tensor, size: Tensor | int) -> Tensor:
    """True where a position is within its clip: [B] lengths → [B, size]."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]  # type: ignore[arg-type]


def masked_mean(states: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the real positions: [B, T, d] and [B] → [B, d]."""
    states = states.float()
    mask = length_mask(lengths, states.shape[1])[:, :, None]
    return (states * mask).sum(1) / lengths[:, None].to(states.dtype)


def zero_mean_unit_variance(audio: Tensor, lengths: Tensor) -> Tensor:
    """Each clip to zero mean and unit variance over its own samples: [B, T] → [B, T].

    The formula of Hugging Face's `Wav2Vec2FeatureExtractor`; beyond the clip stays zero.
    """
    mask = length_mask(lengths, audio.shape[1])
    count = lengths[:, None].to(audio.dtype)
    centred = (audio - (audio * mask).sum(1, keepdim=True) / count) * mask
    variance = centred.square().sum(1, keepdim=True) / count
    return centred / torch.sqrt(variance + 1e-7)


def masked_group_norm(x: Tensor, lengths: Tensor, norm: nn.GroupNorm) -> Tensor:
    """A convolution layer's GroupNorm, its statistics over real frames only: [B, C, T] → same.

    `wav2vec2-base` and HuBERT normalise over time without a mask, so that padding moves a clip's
    answer; this is the same function of a clip alone, whatever it is padded to. Sums over real
    frames are products with the mask: the states are large, and each pass over them costs.
    """
    with exactly(x):
        x = x.float()
        groups = norm.num_groups
        each = x.shape[1] // groups
        mask = length_mask(lengths, x.shape[2])[:, :, None].to(x.dtype)
        count = (lengths * each)[:, None, None].to(x.dtype)

        def mean_of(values: Tensor) -> Tensor:
            """Over a group's real frames: [B, C, T] → [B, C, 1]."""
            total = (values @ mask).unflatten(1, (groups, each)).sum(2)
            return (total / count).repeat_interleave(each, 1) if each > 1 else total / count

        centred = x - mean_of(x)
        scale = torch.rsqrt(mean_of(centred.square()) + norm.eps) * norm.weight[:, None]
        return torch.addcmul(norm.bias[:, None], centred, scale)


def exactly(x: Tensor) -> torch.autocast:
    """No half precision inside, even under an outer autocast: for long sums."""
    return torch.autocast(x.device.type, enabled=False)


class LogMel(nn.Module):
    """Whisper's log-mel spectrogram over the clip's own frames (Radford et al. 2022, section 2.2).

    The discrete Fourier transform is a convolution, so that it exports to ONNX. As in Whisper,
    the start is reflected, silence follows the end, and everything more than 8 decades under
    the loudest point is raised to that; here the loudest point of the clip alone, not of a batch.

    Args:
        bins: mel bands, 80 or 128.
    """

    kernel: Tensor
    filters: Tensor

    def __init__(self, bins: int) -> None:
        from transformers.audio_utils import mel_filter_bank

        super().__init__()
        time = torch.arange(N_FFT, dtype=torch.float64)
        angle = 2 * math.pi / N_FFT * torch.arange(N_FFT // 2 + 1)[:, None] * time
        window = 0.5 - 0.5 * torch.cos(2 * math.pi / N_FFT * time)
        kernel = torch.cat([torch.cos(angle), -torch.sin(angle)]) * window
        self.register_buffer("kernel", kernel[:, None].float())
        filters = mel_filter_bank(N_FFT // 2 + 1, bins, 0.0, 8000.0, 16_000, "slaney", "slaney")
        self.register_buffer("filters", torch.from_numpy(filters.T.copy()).float())

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms [B, T], zero beyond their lengths → [B, bins, F] and frames [B], 100/s."""
        # Eight decades under the loudest point are kept: half precision has three.
        with exactly(audio):
            samples = nn.functional.pad(audio.float(), (0, N_FFT))
            start = samples[:, 1 : N_FFT // 2 + 1].flip(1)
            waves = torch.cat([start, samples], 1)[:, None]
            spectrum = nn.functional.conv1d(waves, self.kernel, stride=HOP)
            spectrum = spectrum[:, :, : (audio.shape[1] + HOP - 1) // HOP]
            real, imaginary = spectrum.chunk(2, dim=1)
            mel = self.filters @ (real.square() + imaginary.square())
            log = mel.clamp_min(1e-10).log10()
            frames = (lengths + HOP - 1) // HOP
            mask = length_mask(frames, log.shape[2])[:, None]
            loudest = log.masked_fill(~mask, -math.inf).amax((1, 2), keepdim=True)
            return ((torch.maximum(log, loudest - 8.0) + 4.0) / 4.0) * mask, frames
