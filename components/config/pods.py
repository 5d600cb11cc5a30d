"""What the pods of one step get: resources, nodes, a time limit; and the steps by name."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from components.config.parts import Frozen

StepName = Literal[
    "corpus_digest", "join_feedback", "corpus", "recordings_digest", "recordings", "model_digests",
    "transcribe", "diarize", "align", "label", "train", "train_nodes",
    "champion", "fetch", "evaluate", "predict", "register", "engines", "promote",
    "finish",
]  # fmt: skip
STEPS: tuple[str, ...] = get_args(StepName)
"""Every step of every pipeline."""

MODEL_STEPS = ("transcribe", "diarize", "train", "evaluate", "predict")
"""Those that run models; the others are light."""

Cpu = Annotated[str, Field(pattern=r"^([1-9]\d*(\.\d+)?|0?\.\d*[1-9]\d*|[1-9]\d*m)$")]
"""As Kubernetes writes processors: 500m, 4, 1.5."""

Memory = Annotated[str, Field(pattern=r"^[1-9]\d*(Ki|M|Mi|G|Gi|T|Ti)?$")]
"""As Kubernetes writes bytes, in whole numbers (KFP takes no other): 512Mi, 16Gi."""

ObjectName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
"""As Kubernetes names its objects."""


def _address(text: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9._-]{1,253}|unix:/\S{1,100}):\d{1,5}", text):
        raise ValueError(f"{text[:60]!r} is no address; write host:port, triton.moodline:8001")
    return text


Address = Annotated[str, AfterValidator(_address)]
"""host:port, or that of a socket as `moodline serve` names it."""

LabelValue = Annotated[
    str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$")
]
"""As Kubernetes writes a label's value."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    """A length of time in seconds; what is none is left for pydantic to refuse."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+)([smhd])", value)):
        return int(match[1]) * _SECONDS[match[2]]
    if isinstance(value, str) and not value.isdecimal():
        raise ValueError("is no length of time; write 90s, 30m, 12h or 7d")
    return value


Timeout = Annotated[int, Field(gt=0, lt=2**31), BeforeValidator(_seconds)]
"""Seconds; written as 90s, 30m, 12h or 7d, too."""


class Toleration(Frozen):
    """A taint that pods tolerate, as Kubernetes has it."""

    key: str
    operator: Literal["Equal", "Exists"] = "Exists"
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None


class StepSettings(Frozen):
    """What one step gets otherwise than the rest; what is not named is as `cluster` has it.

    Attributes:
        cpu: requested, and the limit.
        memory: likewise.
        shared_memory: /dev/shm.
        gpus: for a step that runs models: with any, it runs on the GPU image.
        node_selector: labels of the nodes that it runs on; {} takes any.
        tolerations: taints that it tolerates.
        timeout: how long a pod may take before it is ended; pulling its image counts, waiting for
            a node does not.
    """

    cpu: Cpu | None = None
    memory: Memory | None = None
    shared_memory: Memory | None = None
    gpus: Annotated[int, Field(ge=0)] | None = None
    node_selector: dict[str, str] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    timeout: Timeout | None = None


class Engines(Frozen):
    """The Tritons that make a version's TensorRT engines, and prove it, before it is promoted.

    Attributes:
        tritons: host:port of their gRPC, one for each kind of GPU that versions are served on.
            They run the image of those that serve, and share its folder of engines.
        tensorrt: they have GPUs; without it the version is only proven, on processors.
        cache: that folder, as they see it; MOODLINE_TRITON_TENSORRT_CACHE of the service.
    """

    tritons: Annotated[tuple[Address, ...], Field(min_length=1)]
    tensorrt: bool = True
    cache: Annotated[str, Field(pattern=r'^/[^"\\\s]*$')] = "/var/cache/moodline-tensorrt"


class Pod(Frozen):
    """What a step's pods get in the end; see `StepSettings`."""

    cpu: Cpu
    memory: Memory
    shared_memory: Memory | None
    gpus: int
    node_selector: dict[str, str]
    tolerations: tuple[Toleration, ...]
    timeout: int
