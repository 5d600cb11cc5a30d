"""Training over several nodes: a Kubeflow Trainer `TrainJob`.

It runs the entry point that the step `train` runs: `torchrun -m components.train`, in each pod as
many processes as it has GPUs. Kubeflow's runtime `torch-distributed` tells torchrun about the other
nodes. Examples, corpus and the version that is written lie on the profile's volume.
"""

from pathlib import Path
from typing import Any

import yaml

from components.base import InputError, atomic_path
from components.config import CPU_IMAGE, GPU_IMAGE, ClusterSettings, Profile
from pipelines.definitions.code_version import image

RUNTIME = "torch-distributed"
_JOB = "node"  # as that runtime calls its job, and the container in it


def train_job(profile: Profile, corpus: Path, examples: Path, model: Path) -> dict[str, Any]:
    """The manifest.

    Args:
        profile: what is trained; its `cluster` says on how many nodes and GPUs.
        corpus: the corpus' manifest, as the pods see it.
        examples: the labelled examples, likewise.
        model: where the version is to be written, likewise.

    Raises:
        InputError: the profile names no volume that all nodes see.
    """
    cluster = profile.cluster
    if cluster.volume is None:
        raise InputError(
            "a TrainJob's nodes share a volume: name one in the profile's cluster.volume"
        )
    arguments = {
        "--corpus": str(corpus),
        "--examples": str(examples),
        "--profile": profile.model_dump_json(exclude={"cluster"}),
        "--out": str(model),
    }
    environment = {"MOODLINE_HOME": cluster.volume.mount, **cluster.env}
    manifest: dict[str, Any] = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {
            "name": f"moodline-train-{profile.name}",
            **({"namespace": cluster.namespace} if cluster.namespace else {}),
        },
        "spec": {
            "runtimeRef": {
                "apiGroup": "trainer.kubeflow.org",
                "kind": "ClusterTrainingRuntime",
                "name": RUNTIME,
            },
            "trainer": {
                "image": image(GPU_IMAGE if cluster.train_gpus else CPU_IMAGE, cluster.registry),
                "command": ["torchrun", "-m", "components.train"],
                "args": [part for pair in arguments.items() for part in pair],
                "env": [
                    *({"name": name, "value": value} for name, value in environment.items()),
                    *_secrets(cluster),
                ],
                "numNodes": cluster.nodes,
                "numProcPerNode": cluster.train_gpus or 1,
                "resourcesPerNode": _resources(cluster),
            },
            "runtimePatches": [
                {
                    "manager": "moodline.io/pipelines",
                    "trainingRuntimeSpec": {
                        "template": {
                            "spec": {
                                "replicatedJobs": [
                                    {
                                        "name": _JOB,
                                        "template": {"spec": {"template": {"spec": _pod(cluster)}}},
                                    }
                                ]
                            }
                        }
                    },
                }
            ],
        },
    }
    return manifest


def write_train_job(profile: Profile, corpus: Path, examples: Path, model: Path, out: Path) -> None:
    """Write the manifest as YAML, whole or not at all; see `train_job`."""
    manifest = train_job(profile, corpus, examples, model)
    with atomic_path(out) as temporary:
        temporary.write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")


def _resources(cluster: ClusterSettings) -> dict[str, Any]:
    """What each node's pod asks for; GPUs are asked for and limited alike."""
    gpus = {cluster.gpu: str(cluster.train_gpus)} if cluster.train_gpus else {}
    memory = {"memory": cluster.memory} if cluster.memory else {}
    cpu = {"cpu": cluster.cpu} if cluster.cpu else {}
    return {"requests": gpus | memory | cpu, "limits": gpus | memory}


def _secrets(cluster: ClusterSettings) -> list[dict[str, Any]]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key}}}
        for secret in cluster.secrets
        for key, name in secret.env.items()
    ]


def _pod(cluster: ClusterSettings) -> dict[str, Any]:
    """Nodes and volumes, laid over what the runtime says of its pods."""
    assert cluster.volume is not None
    volumes: list[dict[str, Any]] = [
        {"name": "state", "persistentVolumeClaim": {"claimName": cluster.volume.claim}}
    ]
    mounts = [{"name": "state", "mountPath": cluster.volume.mount}]
    if cluster.shared_memory:
        shared = {"medium": "Memory", "sizeLimit": cluster.shared_memory}
        volumes.append({"name": "shm", "emptyDir": shared})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})
    pod: dict[str, Any] = {
        "volumes": volumes,
        "containers": [{"name": _JOB, "volumeMounts": mounts}],
    }
    if cluster.node_selector:
        pod["nodeSelector"] = cluster.node_selector
    if cluster.tolerations:
        pod["tolerations"] = [taint.model_dump(exclude_none=True) for taint in cluster.tolerations]
    return pod
