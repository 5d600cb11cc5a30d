"""Where a profile's steps run on a cluster: images, GPUs, nodes, volumes, secrets.

Nothing here changes what a step computes, so it is not part of a profile's digest. A run on one
machine uses only `shards`.
"""

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from components.config.parts import Count, Frozen
from components.config.pods import (
    MODEL_STEPS,
    STEPS,
    Cpu,
    Engines,
    LabelValue,
    Memory,
    ObjectName,
    Pod,
    StepName,
    StepSettings,
    Timeout,
    Toleration,
)

_SECRET_NAME = re.compile(
    r"(^|_)(TOKEN|PASS(WORD|WD)?|PWD|PGPASS|SECRET|CREDENTIALS?)(_?\d*$|_(?!FILE$|PATH$|DIR$|NAME$))"
    r"|(API|ACCESS|PRIVATE|ACCOUNT|SIGNING)_?KEY$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"://[^@\s]*:[^@\s]+@|[?&;]pass(word|wd)?=|PRIVATE KEY-----", re.IGNORECASE
)


def _no_secrets(env: dict[str, str]) -> dict[str, str]:
    """Refuse passwords: a compiled pipeline holds `env` in plain text for all who may read it."""
    for name, value in env.items():
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
            raise ValueError(
                f"{name} holds a password or token, which the compiled pipeline would show; put it"
                " into a Kubernetes secret and name that under `secrets`"
            )
    return env


# The container images that the components run in; `infra/images` builds them. A pipeline puts the
# registry before these names and the code's digest behind them, so that a step runs the very code
# that asked for it.
SLIM_IMAGE = "moodline/slim"
"""For steps that run no model; it holds no torch."""

CPU_IMAGE = "moodline/cpu"

GPU_IMAGE = "moodline/gpu"
"""The CPU image with CUDA, for steps that use GPUs."""

TEMPORARY_HOME = "/tmp/moodline"
"""Of a step without a volume: of a pod's folders only this one is sure to be writable."""

_QUEUE = "kueue.x-k8s.io/queue-name"
_PRIORITY = "kueue.x-k8s.io/priority-class"


MAX_SHARDS = 64
"""`align` is told in one argument where the results of all shards lie: about 1 kB for each shard,
and Linux takes 128 KiB."""

ByDigest = Annotated[str, Field(pattern=r"^[^@\s]+@sha256:[0-9a-f]{64}$")]
"""An image's full name, known to the byte."""


class Volume(Frozen):
    """A persistent volume claim that every step sees at `mount`. State lies on it: the pods' user
    (10001) must be able to write it."""

    claim: str
    mount: str = "/moodline"


class Secret(Frozen):
    """A Kubernetes secret; `env` says which of its keys becomes which environment variable."""

    name: str
    env: dict[str, str]


def _known_steps(steps: Any) -> Any:
    """Refuse a step that no pipeline has, and GPUs for one that cannot use them."""
    for name, own in steps.items() if isinstance(steps, dict) else ():
        if name not in STEPS:
            (near, *_) = [*get_close_matches(str(name), STEPS, 1), ""]
            meant = f"; is {near} meant?" if near else ""
            raise ValueError(f"unknown step {name!r}; known: {', '.join(STEPS)}{meant}")
        gpus = own.get("gpus") if isinstance(own, dict) else getattr(own, "gpus", None)
        if gpus and name not in MODEL_STEPS:
            raise ValueError(f"{name} runs no model, and has no use for GPUs")
    return steps


def _as_text(version: Any) -> Any:
    """YAML takes a version for a number."""
    return str(version) if isinstance(version, float) else version


class ClusterSettings(Frozen):
    """A cluster as the steps' pods meet it.

    Every pod has requests and limits, alike: a namespace with a quota takes no other.

    Attributes:
        registry: the prefix of the images' names: "registry.example.com/team".
        images: of the three kinds (slim, cpu, gpu), those that are not to be found by the code's
            digest as their tag, but by their own: "registry.example.com/slim@sha256:…".
        pull: when images are pulled; None leaves it to Kubernetes.
        shards: into how many parts a corpus is cut, to be transcribed and diarized side by side.
        parallel: how many of them at most at the same time.
        retries: how often a step is started again after a fault of the cluster.
        gpu: the name under which the cluster counts its GPUs.
        gpus: for each shard that is transcribed or diarized; 0: none.
        train_gpus: for training, a process each (see `train.processes`); 0: none.
        nodes: that train together, as a Kubeflow TrainJob.
        trainer: the version of Kubeflow Trainer, which decides the TrainJob's form. Before 2.2 it
            cannot set an fsGroup or a time limit.
        cpu: of the steps that run models.
        memory: likewise.
        shared_memory: /dev/shm of the same; PyTorch's workers pass batches through it.
        node_selector: labels of the nodes that the steps with models run on; where some of these
            steps have GPUs, only those do: nobody else sits on an expensive node.
        tolerations: taints that the same steps tolerate.
        light_cpu: of the steps that run no model.
        light_memory: likewise.
        timeout: how long a pod may take before it is ended.
        steps: what single steps get otherwise, by name; see `StepSettings`.
        labels: of the pods.
        pull_secrets: Kubernetes secrets with which the images are pulled.
        queue: the Kueue queue that the pods wait in.
        priority: a Kueue WorkloadPriorityClass; it needs a queue. (KFP's pods cannot be given a
            Kubernetes PriorityClass.)
        engines: who makes a version's TensorRT engines, and proves it, before it is promoted; None:
            nobody, so the first Triton that serves it does.
        volume: for state, and a corpus in a folder; None where the corpus is named by URL. What a
            step then keeps for itself goes with its pod.
        secrets: the hub's token, MLflow's and the object store's credentials.
        env: plain environment variables: MOODLINE_MLFLOW_URI, MLFLOW_S3_ENDPOINT_URL, …; one that
            holds a password is refused.
        pipeline_root: where KFP keeps artifacts ("s3://bucket/path"); empty: its own default.
        namespace: of the runs; empty: KFP's own.
        service_account: that the pods run as; empty: KFP's own.
    """

    registry: str = ""
    images: dict[Literal["slim", "cpu", "gpu"], ByDigest] = Field(default_factory=dict)
    pull: Literal["Always", "IfNotPresent", "Never"] | None = None
    shards: Annotated[int, Field(ge=1, le=MAX_SHARDS)] = 1
    parallel: Count = 8
    retries: Annotated[int, Field(ge=0)] = 2
    gpu: str = "nvidia.com/gpu"
    gpus: Annotated[int, Field(ge=0)] = 0
    train_gpus: Annotated[int, Field(ge=0)] = 0
    nodes: Count = 1
    trainer: Annotated[Literal["2.0", "2.1", "2.2", "2.3"], BeforeValidator(_as_text)] = "2.1"
    cpu: Cpu = "2"
    memory: Memory = "8Gi"
    shared_memory: Memory | None = None
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    light_cpu: Cpu = "1"
    light_memory: Memory = "2Gi"
    timeout: Timeout = 7 * 86400
    steps: Annotated[dict[StepName, StepSettings], BeforeValidator(_known_steps)] = Field(
        default_factory=dict
    )
    labels: dict[str, LabelValue] = Field(default_factory=dict)
    pull_secrets: tuple[ObjectName, ...] = ()
    queue: ObjectName | None = None
    priority: ObjectName | None = None
    engines: Engines | None = None
    volume: Volume | None = None
    secrets: tuple[Secret, ...] = ()
    env: Annotated[dict[str, str], AfterValidator(_no_secrets)] = Field(default_factory=dict)
    pipeline_root: str = ""
    namespace: str = ""
    service_account: str = ""

    @model_validator(mode="after")
    def _has_a_queue_to_be_first_in(self) -> Self:
        if self.priority and not self.queue:
            raise ValueError("priority orders a Kueue queue; name that under `queue`, too")
        return self

    @property
    def pod_labels(self) -> dict[str, str]:
        """The labels of every pod, Kueue's among them."""
        kueue = {_QUEUE: self.queue, _PRIORITY: self.priority}
        return self.labels | {label: name for label, name in kueue.items() if name}

    @property
    def home(self) -> str:
        """A step's MOODLINE_HOME."""
        return self.volume.mount if self.volume else TEMPORARY_HOME

    @property
    def variables(self) -> set[str]:
        """The names of the variables that every step is handed, in plain text or from a secret."""
        return {*self.env, *(name for secret in self.secrets for name in secret.env.values())}

    def pod(self, step: str) -> Pod:
        """What the pods of a step get: its own settings over those that it shares with others."""
        own: dict[str, dict[str, Any]] = {
            name: part.model_dump(exclude_none=True) for name, part in self.steps.items()
        }
        heavy = step in MODEL_STEPS
        gpus = {name: own.get(name, {}).get("gpus", self._gpus(name)) for name in MODEL_STEPS}
        placed = bool(gpus[step] or not any(gpus.values())) if heavy else False
        shared = {
            "cpu": self.cpu if heavy else self.light_cpu,
            "memory": self.memory if heavy else self.light_memory,
            "shared_memory": self.shared_memory if heavy else None,
            "gpus": gpus.get(step, 0),
            "node_selector": self.node_selector if placed else {},
            "tolerations": self.tolerations if placed else (),
            "timeout": self.timeout,
        }
        return Pod.model_validate(shared | own.get(step, {}))

    def _gpus(self, step: str) -> int:
        if step == "train":
            return self.train_gpus
        return self.gpus if step in ("transcribe", "diarize") else 0
