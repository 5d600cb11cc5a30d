"""Training over several nodes: a Kubeflow Trainer `TrainJob`.

It runs the entry point that the step `train` runs: `torchrun -m components.train`, in each pod as
many processes as it has GPUs. Kubeflow's runtime `torch-distributed` tells torchrun about the other
nodes. Examples, corpus and the version that is written lie on the profile's volume.

What the pods get besides that runtime's settings has had three forms: `podSpecOverrides` in Trainer
2.0, `podTemplateOverrides` in 2.1 (which Kubeflow 1.11 ships), `runtimePatches` since 2.2.
"""

from pathlib import Path
from typing import Any

import yaml

from components.base import InputError, atomic_path
from components.config import CPU_IMAGE, GPU_IMAGE, ClusterSettings, Pod, Profile
from pipelines.definitions.code_version import cluster_image
from pipelines.definitions.placement import whole_cpus

RUNTIME = "torch-distributed"
_JOB = "node"  # as that runtime calls its job, and the container in it

_GROUP = 10001
"""Of the images' user: what is on the volume must be writable to it."""

_NAME_PREFIX = 41
"""With five characters of its own, a job's name leaves room for what its pods' names add to it."""


def train_job(profile: Profile, corpus: Path, examples: Path, model: Path) -> dict[str, Any]:
    """The manifest; the profile's `cluster` says on how many nodes and GPUs.

    All paths are as the pods see them: the corpus' manifest, the labelled examples, and `model`,
    where the version is to be written.

    Raises:
        InputError: the profile names no volume that all nodes see, or asks for what its Trainer
            cannot give.
    """
    cluster = profile.cluster
    if cluster.volume is None:
        message = "a TrainJob's nodes share a volume: name one in the profile's cluster.volume"
        raise InputError(message)
    if cluster.pull_secrets and cluster.trainer == "2.0":
        raise InputError(
            "cluster.pull_secrets: Kubeflow Trainer 2.0 cannot give a TrainJob any; put them into"
            " the service account"
        )
    settings = profile.model_dump_json(exclude={"cluster"})
    arguments = ("--corpus", corpus, "--examples", examples, "--profile", settings, "--out", model)
    pod = cluster.pod("train")
    environment = {
        "MOODLINE_HOME": cluster.volume.mount,
        "OMP_NUM_THREADS": str(whole_cpus(pod)),
        **cluster.env,
    }
    variables: list[dict[str, Any]] = [{"name": k, "value": v} for k, v in environment.items()]
    for secret in cluster.secrets:
        for key, name in secret.env.items():
            reference = {"secretKeyRef": {"name": secret.name, "key": key}}
            variables.append({"name": name, "valueFrom": reference})
    # Asked for and limited alike.
    resources = {"cpu": pod.cpu, "memory": pod.memory}
    resources |= {cluster.gpu: str(pod.gpus)} if pod.gpus else {}
    labels = {"labels": cluster.pod_labels} if cluster.pod_labels else {}
    namespace = {"namespace": cluster.namespace} if cluster.namespace else {}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"generateName": _prefix(profile.name), **namespace, **labels},
        "spec": {
            "runtimeRef": {
                "apiGroup": "trainer.kubeflow.org",
                "kind": "ClusterTrainingRuntime",
                "name": RUNTIME,
            },
            "trainer": {
                "image": cluster_image(GPU_IMAGE if pod.gpus else CPU_IMAGE, cluster),
                "command": ["torchrun", "-m", "components.train"],
                "args": [str(argument) for argument in arguments],
                "env": variables,
                "numNodes": cluster.nodes,
                "numProcPerNode": pod.gpus or 1,
                "resourcesPerNode": {"requests": resources, "limits": dict(resources)},
            },
            **_patch(cluster, pod),
        },
    }


def _prefix(name: str) -> str:
    """What a job's name begins with; Kubernetes adds the rest, other for each job."""
    return f"moodline-{name}"[: _NAME_PREFIX - 1].rstrip("-") + "-"


def _patch(cluster: ClusterSettings, step: Pod) -> dict[str, Any]:
    """What is laid over the runtime's pods, in the form of the cluster's Trainer."""
    pod = _pod(cluster, step)
    jobs = [{"name": _JOB}]
    if cluster.trainer == "2.0":
        return {"podSpecOverrides": [{"targetJobs": jobs, **pod}]}
    if cluster.trainer == "2.1":
        return {"podTemplateOverrides": [{"targetJobs": jobs, "spec": pod}]}
    pod["securityContext"] = {"fsGroup": _GROUP}
    job = {"name": _JOB, "template": {"spec": {"template": {"spec": pod}}}}
    template = {"template": {"spec": {"replicatedJobs": [job]}}}
    return {
        "activeDeadlineSeconds": step.timeout,
        "runtimePatches": [{"manager": "moodline.io/pipelines", "trainingRuntimeSpec": template}],
    }


def write_train_job(profile: Profile, corpus: Path, examples: Path, model: Path, out: Path) -> None:
    """Write the manifest as YAML, whole or not at all; see `train_job`."""
    manifest = train_job(profile, corpus, examples, model)
    with atomic_path(out) as temporary:
        temporary.write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")


def _pod(cluster: ClusterSettings, step: Pod) -> dict[str, Any]:
    """Nodes and volumes, laid over what the runtime says of its pods."""
    assert cluster.volume is not None
    claim: dict[str, str] = {"claimName": cluster.volume.claim}
    volumes: list[dict[str, Any]] = [{"name": "state", "persistentVolumeClaim": claim}]
    mounts = [{"name": "state", "mountPath": cluster.volume.mount}]
    if step.shared_memory:
        shared = {"medium": "Memory", "sizeLimit": step.shared_memory}
        volumes.append({"name": "shm", "emptyDir": shared})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})
    containers = [{"name": _JOB, "volumeMounts": mounts}]
    pod: dict[str, Any] = {"volumes": volumes, "containers": containers}
    if step.node_selector:
        pod["nodeSelector"] = step.node_selector
    if step.tolerations:
        pod["tolerations"] = [taint.model_dump(exclude_none=True) for taint in step.tolerations]
    if cluster.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in cluster.pull_secrets]
    if cluster.service_account:
        pod["serviceAccountName"] = cluster.service_account
    return pod
