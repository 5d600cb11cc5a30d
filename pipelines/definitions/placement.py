"""What a task of a pipeline is given besides its inputs: a name, an image, what its pod has."""

from typing import Any

from kfp import dsl, kubernetes

from components.config import GPU_IMAGE, ClusterSettings
from pipelines.definitions.code_version import image

_BACKOFF = "30s"


def configure_task(
    task: dsl.PipelineTask, name: str, cluster: ClusterSettings, *,
    gpus: int = 0, heavy: bool = False,
) -> Any:  # fmt: skip
    """Set up a step whose result its inputs decide, and return it: once done, never done again.

    It is started again where the cluster ended it. KFP cannot tell a fault of the cluster from
    wrong input; but what reads the input first, and says what is wrong with it, is set up by
    `configure_lookup`, and not started again. A `heavy` step runs models, and gets what the profile
    says that these need.
    """
    _equip(task, name, cluster)
    if cluster.retries:
        task.set_retry(cluster.retries, backoff_duration=_BACKOFF)
    if gpus:
        task.set_container_image(image(GPU_IMAGE, cluster.registry))
        task.set_accelerator_type(cluster.gpu)
        task.set_accelerator_limit(gpus)
    if not heavy:
        return task
    if cluster.cpu:
        task.set_cpu_request(cluster.cpu)
    if cluster.memory:
        task.set_memory_request(cluster.memory)
        task.set_memory_limit(cluster.memory)
    if cluster.shared_memory:
        kubernetes.empty_dir_mount(
            task, "shm", "/dev/shm", medium="Memory", size_limit=cluster.shared_memory
        )
    for label, value in cluster.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for taint in cluster.tolerations:
        kubernetes.add_toleration(task, taint.key, taint.operator, taint.value, taint.effect)
    return task


def configure_lookup(task: dsl.PipelineTask, name: str, cluster: ClusterSettings) -> Any:
    """Set up a step that reads or changes what lies outside, and return it: never from a cache."""
    _equip(task, name, cluster)
    return task.set_caching_options(enable_caching=False)


def _equip(task: dsl.PipelineTask, name: str, cluster: ClusterSettings) -> None:
    """What every step gets."""
    task.set_display_name(name)
    assert task.container_spec is not None
    task.set_container_image(image(task.container_spec.image, cluster.registry))
    if cluster.pull:
        kubernetes.set_image_pull_policy(task, cluster.pull)
    if cluster.volume:
        kubernetes.mount_pvc(task, cluster.volume.claim, cluster.volume.mount)
        task.set_env_variable("MOODLINE_HOME", cluster.volume.mount)
    for variable, value in cluster.env.items():
        task.set_env_variable(variable, value)
    for secret in cluster.secrets:
        kubernetes.use_secret_as_env(task, secret.name, secret.env)
