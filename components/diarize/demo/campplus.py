"""CAM++, a network that tells voices apart, as a pyannote.audio model.

A small 2-D residual network over 80 mel bands, then a densely connected time-delay network whose
layers are masked by their context; mean and standard deviation over time give one vector of 192
numbers (Wang et al. 2023, “CAM++: a fast and efficient network for speaker verification using
context-aware masking”). The layers are named as in 3D-Speaker, whose weights these are
(`speech_campplus_sv_zh_en_16k-common_advanced`, 200,000 speakers of Chinese and English).
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pyannote.audio import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from torch import nn
from torchaudio.compliance.kaldi import fbank

from components.diarize.demo.graph import Graph, write_graph

GRAPH = "model.onnx"
"""The network's file for onnxruntime."""

MELS = 80
SIZE = 192
CHANNELS = 32
GROWTH = 32
BOTTLENECK = 4 * GROWTH
BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers, dilation
SEGMENT = 100  # frames of 20 ms whose mean is a layer's near context
MIN_FRAMES = 20  # of 10 ms
MIN_SAMPLES = 4800


class CamPlusPlus(Model):
    """Speech to a vector of `SIZE` numbers that says whose voice it is; compare by cosine."""

    graph: Graph | None = None

    def __init__(self, sample_rate: int = 16_000, num_channels: int = 1, task: Any = None) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.head = _Head()
        width = 128
        self.xvector = nn.Sequential()
        self.xvector.add_module("tdnn", _Tdnn(CHANNELS * MELS // 8, width))
        for number, (layers, dilation) in enumerate(BLOCKS, start=1):
            self.xvector.add_module(f"block{number}", _Block(layers, width, dilation))
            width += layers * GROWTH
            self.xvector.add_module(f"transit{number}", _Transit(width))
            width //= 2
        self.xvector.add_module("out_nonlinear", _normed(width))
        self.xvector.add_module("dense", _Dense(2 * width, SIZE))
        self.specifications = Specifications(
            problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=10.0
        )

    @cached_property
    def dimension(self) -> int:
        """Numbers in an embedding."""
        return SIZE

    def forward(  # type: ignore[override]  # pyannote calls it with weights
        self, waveforms: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Embed the speech in each waveform.

        Args:
            waveforms: float32 [batch, 1, samples] at 16 kHz.
            weights: [batch, frames] over the waveform's length; speech is where it is above 0.5.

        Returns:
            float32 [batch, SIZE]; NaN where there is hardly any speech.

        Raises:
            ValueError: the waveforms are too short to say anything of a voice.
        """
        batch, _, samples = waveforms.shape
        if samples < MIN_SAMPLES:
            raise ValueError(f"{samples} samples are too few for a speaker embedding")
        result = waveforms.new_full((batch, SIZE), float("nan"))
        if weights is None:
            weights = waveforms.new_ones(batch, 1)
        speech: dict[int, torch.Tensor] = {}
        before, mels = -1, waveforms.new_empty(0)
        for item in (weights.amax(dim=1) > 0.5).nonzero()[:, 0].tolist():
            # pyannote hands on a chunk once for each of its voices, one after the other
            if before < 0 or not torch.equal(waveforms[before], waveforms[item]):
                mels = fbank(waveforms[item], num_mel_bins=MELS)
            before = item
            spoken = mels[F.interpolate(weights[item][None, None], size=len(mels))[0, 0] > 0.5]
            if len(spoken) >= MIN_FRAMES:
                speech[item] = (spoken - spoken.mean(dim=0))[None]
        if self.graph is not None and waveforms.device.type == "cpu":
            vectors = self.graph.each([frames.numpy() for frames in speech.values()])
            embedded = [torch.from_numpy(vector) for vector in vectors]
        else:
            embedded = [self.embed(frames) for frames in speech.values()]
        for item, vector in zip(speech, embedded, strict=True):
            result[item] = vector[0]
        return result

    def write_graph(self, to: Path) -> None:
        """Write the network for `quicken`.

        Raises:
            RuntimeError: onnxruntime's answers differ.
        """
        write_graph(self.embed, nn.ModuleList([self.head, self.xvector]), MELS, to)

    def quicken(self, file: Path) -> None:
        """Have onnxruntime compute the network, wherever it is on a CPU.

        Args:
            file: that `write_graph` wrote.

        Raises:
            RuntimeError: onnxruntime's answers differ.
            Exception: onnxruntime's own, where it cannot read the file.
        """
        self.graph = Graph(file, self.embed, MELS)

    def embed(self, mels: torch.Tensor) -> torch.Tensor:
        """Logarithmic mels [batch, frames, MELS], less their mean over time, to [batch, SIZE]."""
        return self.xvector(self.head(mels.transpose(1, 2)))


def _normed(channels: int, *, affine: bool = True, active: bool = True) -> nn.Sequential:
    layers = nn.Sequential()
    layers.add_module("batchnorm", nn.BatchNorm1d(channels, affine=affine))
    if active:
        layers.add_module("relu", nn.ReLU())
    return layers


class _Residual(nn.Module):
    """Two 3×3 convolutions around which the input is led; `stride` halves the mel bands."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, CHANNELS, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(CHANNELS)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.Conv2d(CHANNELS, CHANNELS, 1, (stride, 1), bias=False))
            self.shortcut.append(nn.BatchNorm2d(CHANNELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(inner + self.shortcut(x))


class _Head(nn.Module):
    """Mels [batch, MELS, frames] to [batch, CHANNELS · MELS / 8, frames]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, CHANNELS, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS)
        self.layer1 = nn.Sequential(_Residual(2), _Residual(1))
        self.layer2 = nn.Sequential(_Residual(2), _Residual(1))
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(CHANNELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x[:, None])))
        x = F.relu(self.bn2(self.conv2(self.layer2(self.layer1(x)))))
        return x.flatten(1, 2)


class _Tdnn(nn.Module):
    """Every second frame, with two to either side."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, out, 5, 2, 2, bias=False)
        self.nonlinear = _normed(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.nonlinear(self.linear(x))


class _Masked(nn.Module):
    """A convolution whose output is scaled by the input's mean, nearby and over all frames."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(
            BOTTLENECK, GROWTH, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(BOTTLENECK, BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(BOTTLENECK // 2, GROWTH, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The context is the same in all frames of a segment, so it is worked out once for each.
        near = F.avg_pool1d(x, SEGMENT, SEGMENT, ceil_mode=True)
        context = F.relu(self.linear1(x.mean(dim=-1, keepdim=True) + near))
        scale = torch.sigmoid(self.linear2(context)).repeat_interleave(SEGMENT, dim=-1)
        return self.linear_local(x) * scale[..., : x.shape[-1]]


class _Layer(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _normed(channels)
        self.linear1 = nn.Conv1d(channels, BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _normed(BOTTLENECK)
        self.cam_layer = _Masked(dilation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))


class _Block(nn.Module):
    """Each layer sees the input and what all layers before it made of it."""

    def __init__(self, layers: int, channels: int, dilation: int) -> None:
        super().__init__()
        for number in range(layers):
            layer = _Layer(channels + number * GROWTH, dilation)
            self.add_module(f"tdnnd{number + 1}", layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            x = torch.cat([x, layer(x)], dim=1)
        return x


class _Transit(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.nonlinear = _normed(channels)
        self.linear = nn.Conv1d(channels, channels // 2, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.nonlinear(x))


class _Dense(nn.Module):
    """Mean and standard deviation over time to the embedding."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, out, 1, bias=False)
        self.nonlinear = _normed(out, affine=False, active=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(dim=-1, keepdim=True)
        # as torch's `std`, which its exporter to ONNX gets wrong
        deviation = ((x - mean).square().sum(dim=-1, keepdim=True) / (x.shape[-1] - 1)).sqrt()
        return self.nonlinear(self.linear(torch.cat([mean, deviation], dim=1))[..., 0])
