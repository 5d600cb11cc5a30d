"""What a task of a pipeline is given besides its inputs: a name, an image, what its pod has."""

from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl.component_factory import EXECUTOR_MODULE
from kfp.dsl.structures import ResourceSpec

from components.config import GPU_IMAGE, ClusterSettings, Pod
from pipelines.definitions.code_version import cluster_image

_BACKOFF = "30s"

PIPELINE_RUN = "MOODLINE_PIPELINE_RUN"
_RUN_LABEL = "metadata.labels['pipeline/runid']"
"""KFP's label of a run's pods. A training learns its run from there: as a parameter the run's id
would be part of the step's key in KFP's cache, and no training would ever be found there."""


def configure_task(task: dsl.PipelineTask, name: str, cluster: ClusterSettings) -> Any:
    """Set up a step whose result its inputs decide, and return it: once done, never done again.

    It is started again where the cluster ended it. KFP cannot tell a fault of the cluster from
    wrong input; but what reads the input first, and says what is wrong with it, is set up by
    `configure_lookup`, and not started again.
    """
    _equip(task, name, cluster)
    if cluster.retries:
        task.set_retry(cluster.retries, backoff_duration=_BACKOFF)
    return task


def configure_lookup(task: dsl.PipelineTask, name: str, cluster: ClusterSettings) -> Any:
    """Set up a step that reads or changes what lies outside, and return it: never from a cache."""
    _equip(task, name, cluster)
    return task.set_caching_options(enable_caching=False)


def _equip(task: dsl.PipelineTask, name: str, cluster: ClusterSettings) -> None:
    """What every step gets: its image, its pods' resources and nodes, volumes, secrets.

    Most of it is written into the task's container itself: to name itself in an error, each of the
    task's methods would look for the source of all its callers, in every module there is.
    """
    task.set_display_name(name)
    container = task.container_spec
    assert container is not None
    step = task.component_spec.name.replace("-", "_")
    pod = cluster.pod(step)
    container.image = cluster_image(GPU_IMAGE if pod.gpus else container.image, cluster)
    _place(task, pod, cluster)
    for label, value in cluster.pod_labels.items():
        kubernetes.add_pod_label(task, label, value)
    if cluster.pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(cluster.pull_secrets))
    # Its process is set up by `components.base.step`.
    begins = f"-m components.base.step {task.name} {EXECUTOR_MODULE}"
    container.command = [
        part.replace(f"-m {EXECUTOR_MODULE}", begins) for part in container.command
    ]
    if cluster.pull:
        kubernetes.set_image_pull_policy(task, cluster.pull)
    if cluster.volume:
        kubernetes.mount_pvc(task, cluster.volume.claim, cluster.volume.mount)
    # Libraries count the node's cores, and would start a thread for each.
    own = {"OMP_NUM_THREADS": str(whole_cpus(pod)), "MOODLINE_HOME": cluster.home}
    container.env = {**(container.env or {}), **own, **cluster.env}
    if step in ("train", "train_nodes"):
        kubernetes.use_field_path_as_env(task, PIPELINE_RUN, _RUN_LABEL)
    for secret in cluster.secrets:
        kubernetes.use_secret_as_env(task, secret.name, secret.env)


def _place(task: dsl.PipelineTask, pod: Pod, cluster: ClusterSettings) -> None:
    """Resources, nodes, and how long it may take."""
    task.container_spec.resources = ResourceSpec(pod.cpu, pod.cpu, pod.memory, pod.memory)
    if pod.gpus:
        task.set_accelerator_type(cluster.gpu)
        task.set_accelerator_limit(pod.gpus)
    if pod.shared_memory:
        kubernetes.empty_dir_mount(
            task, "shm", "/dev/shm", medium="Memory", size_limit=pod.shared_memory
        )
    for label, value in pod.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for taint in pod.tolerations:
        kubernetes.add_toleration(task, taint.key, taint.operator, taint.value, taint.effect)
    kubernetes.set_timeout(task, pod.timeout)


def whole_cpus(pod: Pod) -> int:
    """How many threads a process may start: its processors by the processes that share them."""
    cpus = float(pod.cpu[:-1]) / 1000 if pod.cpu.endswith("m") else float(pod.cpu)
    return max(int(cpus / max(pod.gpus, 1)), 1)
