"""Where a profile's steps run on a cluster: images, GPUs, nodes, volumes, secrets.

Nothing here changes what a step computes, so it is not part of a profile's digest. A run on one
machine uses only `shards`.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from components.config.parts import Count, Frozen

Quantity = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
"""As Kubernetes writes amounts: 500m, 4, 16Gi."""

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


class Toleration(Frozen):
    """A taint that GPU pods tolerate, as Kubernetes has it."""

    key: str
    operator: Literal["Equal", "Exists"] = "Exists"
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None


class Volume(Frozen):
    """A persistent volume claim that every step sees at `mount`; the corpus and state lie on it."""

    claim: str
    mount: str = "/moodline"


class Secret(Frozen):
    """A Kubernetes secret; `env` says which of its keys becomes which environment variable."""

    name: str
    env: dict[str, str]


class ClusterSettings(Frozen):
    """A cluster as the steps' pods meet it.

    Attributes:
        registry: the prefix of the images' names: "registry.example.com/team".
        pull: when images are pulled; None leaves it to Kubernetes.
        shards: into how many parts a corpus is cut, to be transcribed and diarized side by side.
        parallel: how many of them at most at the same time.
        retries: how often a step is started again after a fault of the cluster.
        gpu: the name under which the cluster counts its GPUs.
        gpus: for each shard that is transcribed or diarized; 0: none.
        train_gpus: for training, a process each (see `train.processes`); 0: none.
        nodes: that train together, as a Kubeflow TrainJob.
        cpu: requested by the steps that run models.
        memory: likewise.
        shared_memory: /dev/shm of the same; PyTorch's workers pass batches through it.
        node_selector: labels of the nodes that the steps with models run on.
        tolerations: taints that these steps tolerate.
        volume: for corpus and state; None where an object store holds everything.
        secrets: the hub's token, MLflow's and the object store's credentials.
        env: plain environment variables: MOODLINE_MLFLOW_URI, MLFLOW_S3_ENDPOINT_URL, …; one that
            holds a password is refused.
        pipeline_root: where KFP keeps artifacts ("s3://bucket/path"); empty: its own default.
        namespace: of the runs; empty: KFP's own.
        service_account: that the pods run as; empty: KFP's own.
    """

    registry: str = ""
    pull: Literal["Always", "IfNotPresent", "Never"] | None = None
    shards: Count = 1
    parallel: Count = 8
    retries: Annotated[int, Field(ge=0)] = 2
    gpu: str = "nvidia.com/gpu"
    gpus: Annotated[int, Field(ge=0)] = 0
    train_gpus: Annotated[int, Field(ge=0)] = 0
    nodes: Count = 1
    cpu: Quantity | None = None
    memory: Quantity | None = None
    shared_memory: Quantity | None = None
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    volume: Volume | None = None
    secrets: tuple[Secret, ...] = ()
    env: Annotated[dict[str, str], AfterValidator(_no_secrets)] = Field(default_factory=dict)
    pipeline_root: str = ""
    namespace: str = ""
    service_account: str = ""
