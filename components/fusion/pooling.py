"""A clip's states to one vector, over its real frames only, without weights.

With `use_weighted_layer_sum` a state holds the vectors of all layers, one after the other, and
each layer is pooled by itself. The head mixes the layers afterwards: for means that is the same as
mixing first, and the pooled layers of a frozen encoder can be kept, [layers × size] for each clip
instead of all its frames.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from components.fusion.frontend import exactly, length_mask, masked_mean

Pooling = Literal["mean", "statistics"]

PARTS: dict[str, int] = {"mean": 1, "statistics": 2}
"""How many numbers each way of pooling makes of one dimension of the states."""


def masked_statistics(states: Tensor, lengths: Tensor) -> Tensor:
    """Mean and standard deviation over the real positions: [B, T, d] and [B] → [B, 2d].

    Statistics pooling (Snyder et al. 2018). The deviation is taken around the mean, in single
    precision: the difference of two large sums would lose it.
    """
    with exactly(states):
        mean = masked_mean(states, lengths)
        mask = length_mask(lengths, states.shape[1])[:, :, None]
        centred = (states.float() - mean[:, None]) * mask
        variance = centred.square().sum(1) / lengths[:, None].to(mean.dtype)
        # A clip of one frame has no deviation, and must have a gradient.
        return torch.cat([mean, torch.sqrt(variance + 1e-7)], -1)


def pool(states: Tensor, lengths: Tensor, how: Pooling, layers: int = 1) -> Tensor:
    """Pool each layer's states: [B, T, layers × d] and [B] → [B, layers × `PARTS[how]` × d]."""
    pooled: Callable[[Tensor, Tensor], Tensor] = (
        masked_statistics if how == "statistics" else masked_mean
    )
    vectors = pooled(states, lengths)
    # [B, parts × layers × d] → a layer's mean and deviation beside each other.
    return vectors.unflatten(-1, (PARTS[how], layers, -1)).transpose(1, 2).flatten(1)
