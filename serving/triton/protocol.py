"""How gRPC reaches a Triton, and one clip's tensors on the way there and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from components.conversation import Seconds

# After Triton comes back the channel must find it at once, not after gRPC's two minutes. A name
# that stands for several addresses (a headless service) is spread over by gRPC itself.
CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.dns_min_time_between_resolutions_ms", 5000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.min_reconnect_backoff_ms", 3_000),  # a connection that is not made by then is given up
]

# A host that vanishes refuses nothing. When it does not answer a ping, the clips that were sent to
# it are taken for lost and go to another Triton within their deadline. Only for clips: a load may
# take minutes, and Triton would take so many pings for an attack.
WATCHED_CHANNEL = [
    *CHANNEL,
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # of gRPC's other pings, which a keepalive waits for
    ("grpc.http2.max_pings_without_data", 0),
]

RECONNECT_SECONDS: Seconds = 5.0
"""A channel to a Triton that is away is replaced at this age. gRPC looks up a name that nobody has
yet ever less often, in the end every two minutes, and no channel argument changes that."""

INPUTS = (("AUDIO", "FP32", np.float32), ("INPUT_IDS", "INT64", np.int64))


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's answer to one clip.

    Attributes:
        probabilities: float32, one for each label of the version, in its order.
        embedding: float32 [d].
        version: of the model that gave it, the registry's number.
    """

    probabilities: np.ndarray
    embedding: np.ndarray
    version: str


def to_inputs(audio: np.ndarray, input_ids: np.ndarray) -> list[Any]:
    """A clip, float32 [samples] in mono 16 kHz and int64 [tokens], as the request's tensors."""
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
