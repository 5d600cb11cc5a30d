"""What goes to Triton and what comes back: one clip's tensors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

INPUTS = (("AUDIO", "FP32", np.float32), ("INPUT_IDS", "INT64", np.int64))


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's answer to one clip.

    Attributes:
        probabilities: float32 [4], in the order of `EMOTIONS`.
        embedding: float32 [d].
        version: of the model that gave it, the registry's number.
    """

    probabilities: np.ndarray
    embedding: np.ndarray
    version: str


def to_inputs(audio: np.ndarray, input_ids: np.ndarray) -> list[Any]:
    """A clip as the request's tensors.

    Args:
        audio: float32 [samples], mono 16 kHz.
        input_ids: int64 [tokens].
    """
    from tritonclient.grpc import InferInput

    inputs = []
    for (name, kind, dtype), values in zip(INPUTS, (audio, input_ids), strict=True):
        row = np.ascontiguousarray(values, dtype=dtype)[np.newaxis]
        tensor = InferInput(name, list(row.shape), kind)
        tensor.set_data_from_numpy(row)
        inputs.append(tensor)
    return inputs


def to_answer(result: Any) -> Answer:
    """A response's tensors as an answer.

    Raises:
        ValueError: a tensor is missing or empty (a broken backend can answer so).
    """
    probabilities = result.as_numpy("PROBABILITIES")
    embedding = result.as_numpy("EMBEDDING")
    if probabilities is None or embedding is None or not probabilities.size:
        raise ValueError("Triton answered without tensors")
    return Answer(probabilities[0], embedding[0], result.get_response().model_version)
