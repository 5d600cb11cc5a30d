"""What a model version answers to clips."""

from dataclasses import dataclass

import numpy as np

from components.config import VersionSpeech


@dataclass(frozen=True, slots=True)
class Classified:
    """The answers to clips, in their order.

    Attributes:
        probabilities: [n, k], in the order of `labels`.
        embeddings: [n, d].
        version: the model version that gave all of them.
        labels: of that version, k of them.
        alias: the role of that version: production or staging.
        speech: what a recording's clips have to be cut by for that version.
        uncertain_below: what that version calls an uncertain answer.
    """

    probabilities: np.ndarray
    embeddings: np.ndarray
    version: int
    labels: tuple[str, ...]
    alias: str
    speech: VersionSpeech | None = None
    uncertain_below: float = 0.0
