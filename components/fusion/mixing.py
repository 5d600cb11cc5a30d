"""What a version's mix of its speech encoder's layers is, read without torch."""

from pathlib import Path

import numpy as np

NAME = "head.acoustic.layer_weights"


def layer_shares(folder: Path) -> list[float]:
    """The share of each layer's states in a version's sound, which add up to 1.

    The first is of what goes into the encoder's first layer. Empty for a version that takes one
    layer's states alone, or that has no weights beside its graph.
    """
    from safetensors import safe_open

    path = Path(folder) / "model.safetensors"
    if not path.is_file():
        return []
    with safe_open(path, framework="numpy") as weights:
        if NAME not in weights.keys():  # noqa: SIM118 - it is no mapping
            return []
        powers = np.exp(weights.get_tensor(NAME).astype(np.float64))
    return [float(share) for share in powers / powers.sum()]
