"""The linear probe: what a straight line through the frozen encoders' states knows.

Logistic regression on the means and standard deviations of all the speech encoder's layers and the
mean of the text encoder's states. It takes a second to fit, and a fusion model that answers worse
takes less from its encoders than they hold.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.base import InputError

PROBE = "probe.safetensors"
"""Its file in a version's folder."""

_ARRAYS = ("mean", "scale", "weight", "bias")


@dataclass(frozen=True, slots=True)
class Probe:
    """A fitted probe.

    Attributes:
        mean, scale: float32 [f], of the training features: each is standardised first.
        weight, bias: float32 [k, f] and [k].
        labels: k, in the order of its answers.
        pretrained: whether its features are of the encoders as they were before the version was
            fine-tuned; otherwise they are of the version's own.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    labels: tuple[str, ...]
    pretrained: bool = False

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features [n, f] → probabilities [n, k]."""
        from scipy.special import softmax

        logits = (features - self.mean) / self.scale @ self.weight.T + self.bias
        return softmax(logits.astype(np.float64), axis=1)

    def save(self, path: Path) -> None:
        """Write it as safetensors."""
        from safetensors.numpy import save_file

        about = {"labels": self.labels, "pretrained": self.pretrained}
        # One entry: safetensors writes several in any order, and a version is the same every time.
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        save_file(arrays, path, {"probe": json.dumps(about)})


def load_probe(path: Path) -> Probe:
    """Read a probe.

    Raises:
        InputError: no such file, or another kind of file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            about = json.loads((file.metadata() or {})["probe"])
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
        labels = tuple(about["labels"])
        return Probe(**arrays, labels=labels, pretrained=about["pretrained"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path}: is not the probe of a version") from error
