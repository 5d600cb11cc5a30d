"""Training over several nodes: a Kubeflow Trainer `TrainJob`, which the step `train_nodes` makes.

It runs the entry point that the step `train` runs: `torchrun -m components.train`, in each pod as
many processes as it has GPUs. Kubeflow's runtime `torch-distributed` tells torchrun about the other
nodes. The step adds the job's name, the arguments and the run (`components/train/nodes.py`).

What the pods get besides that runtime's settings has had three forms: `podSpecOverrides` in Trainer
2.0, `podTemplateOverrides` in 2.1 (which Kubeflow 1.11 ships), `runtimePatches` since 2.2.
"""

from typing import Any

from components.base import InputError
from components.config import CPU_IMAGE, GPU_IMAGE, ClusterSettings, Pod, Profile
from components.train.trainjobs import GROUP, VERSION
from pipelines.definitions.code_version import cluster_image
from pipelines.definitions.placement import whole_cpus

RUNTIME = "torch-distributed"
_JOB = "node"  # as that runtime calls its job, and the container in it

_GROUP = 10001
"""Of the images' user: what is on the volume must be writable to it."""

_NAME_PREFIX = 38
"""With eight characters of its own, a job's name leaves room for what its pods' names add to it."""


def train_job(profile: Profile) -> dict[str, Any]:
    """The manifest; the profile's `cluster` says on how many nodes and GPUs.

    Raises:
        InputError: there is no place that all nodes see, or the profile asks for what its Trainer
            cannot give.
    """
    cluster = profile.cluster
    if cluster.volume is None and "://" not in cluster.env.get("MOODLINE_CACHE", ""):
        raise InputError(
            f"cluster.nodes: {cluster.nodes} nodes need a place that all of them see: a volume"
            " (cluster.volume), or an object store (in cluster.env MOODLINE_CACHE: s3://bucket/path)"
        )
    if cluster.pull_secrets and cluster.trainer == "2.0":
        raise InputError(
            "cluster.pull_secrets: Kubeflow Trainer 2.0 cannot give a TrainJob any; put them into"
            " the service account"
        )
    pod = cluster.pod("train")
    environment = {
        "MOODLINE_HOME": cluster.home,
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
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TrainJob",
        "metadata": {"generateName": _prefix(profile.name), **namespace, **labels},
        "spec": {
            "runtimeRef": {
                "apiGroup": GROUP,
                "kind": "ClusterTrainingRuntime",
                "name": RUNTIME,
            },
            "trainer": {
                "image": cluster_image(GPU_IMAGE if pod.gpus else CPU_IMAGE, cluster),
                "command": ["torchrun", "-m", "components.train"],
                "env": variables,
                "numNodes": cluster.nodes,
                "numProcPerNode": pod.gpus or 1,
                "resourcesPerNode": {"requests": resources, "limits": dict(resources)},
            },
            **_patch(cluster, pod),
        },
    }


def _prefix(name: str) -> str:
    """What a job's name begins with; the step adds the rest, other for each run."""
    return f"moodline-{name}"[: _NAME_PREFIX - 1].rstrip("-") + "-"


def _patch(cluster: ClusterSettings, step: Pod) -> dict[str, Any]:
    """What is laid over the runtime's pods, in the form of the cluster's Trainer."""
    pod = _pod(cluster, step)
    jobs = [{"name": _JOB}]
    if cluster.trainer in ("2.0", "2.1") and not pod:
        return {}
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


def _pod(cluster: ClusterSettings, step: Pod) -> dict[str, Any]:
    """Nodes and volumes, laid over what the runtime says of its pods."""
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, str]] = []
    if cluster.volume:
        claim = {"claimName": cluster.volume.claim}
        volumes.append({"name": "state", "persistentVolumeClaim": claim})
        mounts.append({"name": "state", "mountPath": cluster.volume.mount})
    if step.shared_memory:
        shared = {"medium": "Memory", "sizeLimit": step.shared_memory}
        volumes.append({"name": "shm", "emptyDir": shared})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})
    pod: dict[str, Any] = {}
    if volumes:
        pod |= {"volumes": volumes, "containers": [{"name": _JOB, "volumeMounts": mounts}]}
    if step.node_selector:
        pod["nodeSelector"] = step.node_selector
    if step.tolerations:
        pod["tolerations"] = [taint.model_dump(exclude_none=True) for taint in step.tolerations]
    if cluster.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in cluster.pull_secrets]
    if cluster.service_account:
        pod["serviceAccountName"] = cluster.service_account
    return pod
