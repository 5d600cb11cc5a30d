"""Resemblyzer's d-vector network as a pyannote.audio model.

A three-layer LSTM over 40 mel bands turns 1.6 s of speech into a unit vector of 256 numbers; a
longer stretch is the mean of windows that overlap by half (Wan et al. 2018, “Generalized
end-to-end loss for speaker verification”). The weights are those of the package Resemblyzer, and
the mel front end is as it makes them, but nothing of that package is imported.
"""

from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from pyannote.audio import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from torch import nn
from torchaudio.transforms import MelSpectrogram

MELS = 40
SIZE = 256
HOP = 160  # samples: 10 ms
WINDOW = 160  # mel frames: 1.6 s, the length that the network was trained on
STRIDE = 80  # mel frames between windows
MIN_FRAMES = 10
MIN_SAMPLES = 4800
LOUDNESS = 10 ** (-30 / 20)  # the level (RMS) that speech is brought to: mels are not logarithmic
LSTM_BATCH = 256


class Resemblyzer(Model):
    """Speech to a unit vector of `SIZE` numbers that says whose voice it is."""

    def __init__(self, sample_rate: int = 16_000, num_channels: int = 1, task: Any = None) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.lstm = nn.LSTM(MELS, SIZE, num_layers=3, batch_first=True)
        self.linear = nn.Linear(SIZE, SIZE)
        self.mel = MelSpectrogram(
            sample_rate,
            n_fft=400,
            hop_length=HOP,
            n_mels=MELS,
            norm="slaney",
            mel_scale="slaney",
            pad_mode="constant",
        )
        self.specifications = Specifications(
            problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0
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
            float32 [batch, SIZE] of unit length; NaN where there is hardly any speech.

        Raises:
            ValueError: the waveforms are too short to say anything of a voice.
        """
        waveforms = waveforms[:, 0]
        batch, samples = waveforms.shape
        if samples < MIN_SAMPLES:
            raise ValueError(f"{samples} samples are too few for a speaker embedding")
        if weights is None:
            weights = torch.ones(batch, 1, device=waveforms.device)
        has_speech = weights.amax(dim=1) > 0.5
        result = waveforms.new_full((batch, SIZE), float("nan"))
        items = has_speech.nonzero()[:, 0].tolist()
        speech = {item: self._speech(waveforms[item], weights[item]) for item in items}
        cuts = {item: _windows(mels) for item, mels in speech.items() if len(mels) >= MIN_FRAMES}
        if not cuts:
            return result
        windows = torch.cat(list(cuts.values())).split(LSTM_BATCH)
        vectors = torch.cat([self._embed(part) for part in windows])
        owner = torch.tensor([i for i, cut in cuts.items() for _ in cut], device=vectors.device)
        sums = torch.zeros_like(result).index_add_(0, owner, vectors)
        known = owner.unique()
        result[known] = F.normalize(sums[known], dim=1)
        return result

    def _speech(self, waveform: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The mel frames [frames, MELS] where `weights` says speech, at one loudness."""
        mels = self.mel(waveform).T
        frames = F.interpolate(weights[None, None], size=len(mels))[0, 0] > 0.5
        samples = F.interpolate(weights[None, None], size=len(waveform))[0, 0] > 0.5
        power = waveform[samples].square().mean().clamp_min(1e-10)
        return mels[frames] * (LOUDNESS**2 / power)

    def _embed(self, windows: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(windows)
        return F.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


def _windows(mels: torch.Tensor) -> torch.Tensor:
    """Cut [frames, MELS] into windows [n, WINDOW, MELS] that cover it; short speech is repeated."""
    if len(mels) < WINDOW:
        mels = mels.repeat(-(-WINDOW // len(mels)), 1)[:WINDOW]
    starts = list(range(0, len(mels) - WINDOW + 1, STRIDE))
    if starts[-1] + WINDOW < len(mels):
        starts.append(len(mels) - WINDOW)
    return torch.stack([mels[start : start + WINDOW] for start in starts])
