"""The paper's section III-B, as equations: gated cross-attention between speech and words.

With z_t and z_a the text's and the sound's vectors (d wide)::

    a_ta = LayerNorm(MHA(z_t, z_a, z_a) + z_t)        text asks, sound answers
    a_at = LayerNorm(MHA(z_a, z_t, z_t) + z_a)        sound asks, text answers
    h_ta = ReLU(z_t + σ(W_t [z_t; a_ta]) ⊙ V_t a_ta)  forget gate
    h_at = ReLU(z_a + σ(W_a [z_a; a_at]) ⊙ V_a a_at)
    f    = mean(Transformer([h_ta; h_at] + positions))
    p    = softmax(C f / T)

The paper prints no equations; these are its published code's (M4RC034/SER-Align), after Jiang & Ji
(arXiv 2208.11893). With `attend: pooled` z_t and z_a are one vector each, so every attention
weight is 1 and the query and key projections are inert; with `attend: frames` they are sequences,
and h_ta and h_at are pooled over their real positions before the fusion. T is the temperature that
a version is calibrated by, 1 while it is fitted.

Where the speech encoder gives the states x_l of all its layers, z_a is the projection of their sum
Σ softmax(γ)_l x_l by learned weights γ (Yang et al. 2021, SUPERB), each layer standardised first.
With `linear_shortcut` the logits are C f + S [x_1; …; x_L] (“wide and deep”, Cheng et al. 2016):
both begin at 0, so that few examples fit the linear map first, and the fusion what it leaves.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

from components.fusion.config import MoodlineConfig
from components.fusion.frontend import length_mask, masked_mean


@dataclass
class MoodlineOutput(ModelOutput):
    """What the model says of a batch.

    Attributes:
        logits: [B, k], in the order of the configuration's labels.
        embedding: [B, d] the fused vector f.
    """

    logits: Tensor | None = None
    embedding: Tensor | None = None


class Attention(nn.Module):
    """MHA(q, k, v): scaled dot-product attention in several heads (Vaswani et al. 2017, eq. 1).

    Plain projections around torch's kernel, since `nn.MultiheadAttention` does not export to ONNX
    with a free length.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        for projection in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(self, query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, Q, d] asks [B, K, d], whose positions count where `mask` [B, K] → [B, Q, d]."""
        q, k, v = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection, x in ((self.query, query), (self.key, key), (self.value, key))
        )
        mask = None if mask is None else mask[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, mask, dropout)
        return self.out(mixed.transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """a = LayerNorm(MHA(z, other, other) + z)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, z: Tensor, other: Tensor, mask: Tensor | None = None) -> Tensor:
        """z [B, Q, d], other [B, K, d] → a [B, Q, d]."""
        return self.norm(self.attention(z, other, mask) + z)


class ForgetGate(nn.Module):
    """h = ReLU(z + σ(W [z; a]) ⊙ V a)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)
        self.value = nn.Linear(width, width)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        """z and a, [..., d] → h [..., d]."""
        return torch.relu(z + torch.sigmoid(self.gate(torch.cat([z, a], -1))) * self.value(a))


class FusionLayer(nn.Module):
    """One layer of a Transformer encoder, normalised after each half (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, feed_forward)
        self.outer = nn.Linear(feed_forward, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 2, d] → [B, 2, d]."""
        x = self.attention_norm(x + self.dropout(self.attention(x, x)))
        wide = self.dropout(torch.relu(self.inner(x)))
        return self.feed_forward_norm(x + self.dropout(self.outer(wide)))


class Modality(nn.Module):
    """An encoder's states to width d: standardised, mixed, and projected where the sizes differ.

    `mean` and `scale` are the identity unless training sets them from its own examples: states of
    a frozen encoder differ in size by orders of magnitude between dimensions and layers.

    Args:
        size: of one layer's states.
        width: d.
        layers: whose states are mixed; 1 for those of one layer.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, size: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("mean", torch.zeros(layers * size))
        self.register_buffer("scale", torch.ones(layers * size))
        if layers > 1:
            self.layer_weights = nn.Parameter(torch.zeros(layers))
        self.projection = nn.Identity() if size == width else nn.Linear(size, width)

    def forward(self, states: Tensor) -> Tensor:
        """[..., layers × size] → [..., d]."""
        return self.mix(self.standardize(states))

    def standardize(self, states: Tensor) -> Tensor:
        """[..., layers × size] → the same, each number on the scale of the training's examples."""
        return (states - self.mean) / self.scale

    def mix(self, states: Tensor) -> Tensor:
        """Standardised states [..., layers × size] → [..., d]."""
        if self.layers > 1:
            # Not as one product over [layers, size]: its shape would be fixed in a graph.
            shares = torch.softmax(self.layer_weights, 0).unbind()
            parts = states.chunk(self.layers, -1)
            states = torch.stack([w * x for w, x in zip(shares, parts, strict=True)]).sum(0)
        return self.projection(states)


class MoodlineHead(nn.Module):
    """Everything after the encoders; the module's docstring gives its equations."""

    positions: Tensor

    def __init__(self, config: MoodlineConfig, text_size: int) -> None:
        super().__init__()
        d, heads, dropout = config.hidden_size, config.heads, config.dropout
        self.config = config
        self.attend = config.attend
        self.acoustic = Modality(config.acoustic_size, d, config.acoustic_layers)
        self.text = Modality(text_size, d)
        self.text_asks = CrossAttention(d, heads, dropout)
        self.acoustic_asks = CrossAttention(d, heads, dropout)
        self.text_gate = ForgetGate(d)
        self.acoustic_gate = ForgetGate(d)
        self.register_buffer("positions", sinusoidal_positions(2, d))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            FusionLayer(d, heads, config.feed_forward, dropout) for _ in range(config.layers)
        )
        self.classifier = nn.Linear(d, config.num_labels)
        self.shortcut: nn.Linear | None = None
        if config.linear_shortcut:
            size = config.acoustic_layers * config.acoustic_size
            self.shortcut = nn.Linear(size, config.num_labels)
            for start in (self.classifier, self.shortcut):
                nn.init.zeros_(start.weight)
                nn.init.zeros_(start.bias)

    def forward(
        self,
        acoustic_states: Tensor,
        acoustic_lengths: Tensor,
        text_states: Tensor,
        text_lengths: Tensor,
    ) -> MoodlineOutput:
        """Fuse the encoders' states, padded to the longest; only real positions count.

        Args:
            acoustic_states, acoustic_lengths: [B, T, d_a] and [B] frames; with `attend: pooled`
                they are pooled already, T is 1.
            text_states, text_lengths: [B, L, d_t] and [B] tokens, likewise.
        """
        pooled = self.attend == "pooled"
        z_a, z_t = self.acoustic(acoustic_states), self.text(text_states)
        frames = None if pooled else length_mask(acoustic_lengths, z_a.shape[1])
        tokens = None if pooled else length_mask(text_lengths, z_t.shape[1])
        h_ta = self.text_gate(z_t, self.text_asks(z_t, z_a, frames))
        h_at = self.acoustic_gate(z_a, self.acoustic_asks(z_a, z_t, tokens))
        if pooled:
            h_ta, h_at = h_ta[:, 0], h_at[:, 0]
        else:
            h_ta, h_at = masked_mean(h_ta, text_lengths), masked_mean(h_at, acoustic_lengths)
        fused = self.dropout(torch.stack([h_ta, h_at], 1) + self.positions)
        for layer in self.layers:
            fused = layer(fused)
        embedding = fused.mean(1)
        logits = self.classifier(embedding)
        if self.shortcut is not None:
            logits = logits + self.shortcut(self.acoustic.standardize(acoustic_states[:, 0]))
        logits = logits / self.config.calibration_temperature
        return MoodlineOutput(logits=logits, embedding=embedding)


def sinusoidal_positions(count: int, width: int) -> Tensor:
    """[count, width] of sin and cos in turn (Vaswani et al. 2017, section 3.5)."""
    position = torch.arange(count)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    table = torch.zeros(count, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)
    return table
