"""The TrainJob, held to the models of Kubeflow Trainer's own API."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob
from pydantic import BaseModel, ConfigDict, ValidationError

from components.base import InputError
from components.config import Profile, load_profile
from pipelines.definitions.trainjob import train_job, write_train_job

CLUSTER: dict[str, Any] = {
    "registry": "registry.example.com",
    "nodes": 3,
    "train_gpus": 2,
    "memory": "32Gi",
    "shared_memory": "8Gi",
    "node_selector": {"pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
    "volume": {"claim": "moodline-state", "mount": "/state"},
    "secrets": [{"name": "moodline", "env": {"hub-token": "MOODLINE_HUB_TOKEN"}}],
    "namespace": "speech",
}
PATHS = (Path("/state/corpus"), Path("/state/examples.parquet"), Path("/state/model"))


def with_cluster(**cluster: Any) -> Profile:
    demo = load_profile("demo").model_dump(mode="json")
    return Profile.model_validate(demo | {"cluster": cluster})


def known(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the API's models make of a manifest: they drop what they do not know."""
    job = TrainerV1alpha1TrainJob.from_dict(manifest)
    assert job is not None
    return json.loads(job.to_json())


class Old(BaseModel):
    """Types of older Trainers, field by field: pkg/apis/trainer/v1alpha1/trainjob_types.go.

    What is in volumes and the like is Kubernetes', the same as in the newest form.
    """

    model_config = ConfigDict(extra="forbid")


class TargetJob(Old):
    name: str


class ContainerOverride(Old):
    name: str
    volumeMounts: list[Any]


class Overrides20(Old):
    """`PodSpecOverride` at v2.0.0, as far as it is used."""

    targetJobs: list[TargetJob]
    serviceAccountName: str | None = None
    nodeSelector: dict[str, str] | None = None
    tolerations: list[Any] | None = None
    volumes: list[Any]
    containers: list[ContainerOverride]


class Spec21(Old):
    """`PodTemplateSpecOverride` at v2.1.0, likewise."""

    serviceAccountName: str | None = None
    nodeSelector: dict[str, str] | None = None
    tolerations: list[Any] | None = None
    volumes: list[Any]
    containers: list[ContainerOverride]
    imagePullSecrets: list[Any] | None = None


class Overrides21(Old):
    """`PodTemplateOverride` at v2.1.0."""

    targetJobs: list[TargetJob]
    spec: Spec21


OLD: dict[str, tuple[str, type[BaseModel]]] = {
    "2.0": ("podSpecOverrides", Overrides20),
    "2.1": ("podTemplateOverrides", Overrides21),
}


def patched_pod(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the newest form says of the pods."""
    (patch,) = manifest["spec"]["runtimePatches"]
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod: dict[str, Any] = job["template"]["spec"]["template"]["spec"]
    return pod


FULL = CLUSTER | {"queue": "night", "service_account": "trainer"}


@pytest.mark.parametrize("trainer", ["2.2", "2.3"])
@pytest.mark.parametrize("cluster", [FULL, {"volume": CLUSTER["volume"]}])
def test_every_field_is_one_that_kubeflow_trainer_knows(
    cluster: dict[str, Any], trainer: str
) -> None:
    given = cluster | {"trainer": trainer, "pull_secrets": ["registry"]}
    manifest = train_job(with_cluster(**given), *PATHS)
    assert known(manifest) == manifest
    pod = patched_pod(manifest)
    assert pod["securityContext"] == {"fsGroup": 10001}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert manifest["spec"]["activeDeadlineSeconds"] == 7 * 86400


@pytest.mark.parametrize("trainer", OLD)
@pytest.mark.parametrize("cluster", [FULL, {"volume": CLUSTER["volume"]}])
def test_older_trainers_have_forms_of_their_own(cluster: dict[str, Any], trainer: str) -> None:
    manifest = train_job(with_cluster(**cluster, trainer=float(trainer)), *PATHS)
    field, kind = OLD[trainer]
    (override,) = manifest["spec"].pop(field)
    kind.model_validate(override)
    assert override.pop("targetJobs") == [{"name": "node"}]
    newest = patched_pod(train_job(with_cluster(**cluster, trainer="2.2"), *PATHS))
    assert newest == {"securityContext": {"fsGroup": 10001}, **override.get("spec", override)}
    # The rest is as it is today.
    assert known(manifest) == manifest
    assert "activeDeadlineSeconds" not in manifest["spec"]


def test_trainer_2_0_has_no_pull_secrets() -> None:
    with pytest.raises(InputError, match=r"cluster\.pull_secrets: Kubeflow Trainer 2\.0 cannot"):
        train_job(with_cluster(**FULL, trainer="2.0", pull_secrets=["a"]), *PATHS)
    with pytest.raises(ValidationError, match=r"'2\.0', '2\.1', '2\.2' or '2\.3'"):
        with_cluster(trainer="1.9")


def test_each_job_has_a_name_of_its_own_and_waits_in_the_queue() -> None:
    profile = with_cluster(**FULL)
    metadata = train_job(profile, *PATHS)["metadata"]
    assert metadata == {
        "generateName": "moodline-demo-",
        "namespace": "speech",
        "labels": {"kueue.x-k8s.io/queue-name": "night"},
    }
    longest = profile.model_copy(update={"name": "x" * 40})
    prefix = train_job(longest, *PATHS)["metadata"]["generateName"]
    # The longest name that JobSet makes of it: a pod's.
    assert len(f"{prefix}12345-node-0-999-abcde") <= 63


def test_an_unknown_field_would_be_noticed() -> None:
    manifest = train_job(with_cluster(**CLUSTER), *PATHS)
    manifest["spec"]["trainer"]["gpus"] = 2
    assert known(manifest) != manifest


def test_it_runs_the_entry_point_of_the_step_on_every_node(tmp_path: Path) -> None:
    profile = with_cluster(**CLUSTER)
    write_train_job(profile, *PATHS, tmp_path / "job.yaml")
    job = yaml.safe_load((tmp_path / "job.yaml").read_text())
    trainer = job["spec"]["trainer"]
    assert trainer["command"] == ["torchrun", "-m", "components.train"]
    arguments = dict(zip(trainer["args"][::2], trainer["args"][1::2], strict=True))
    assert arguments["--examples"] == "/state/examples.parquet"
    assert load_profile(arguments["--profile"]).digest() == profile.digest()
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (3, 2)
    assert trainer["resourcesPerNode"]["limits"] == {
        "cpu": "2", "memory": "32Gi", "nvidia.com/gpu": "2",
    }  # fmt: skip
    assert "moodline/gpu:" in trainer["image"]


def test_nodes_that_share_nothing_cannot_train_together() -> None:
    with pytest.raises(InputError, match=r"cluster\.volume"):
        train_job(with_cluster(nodes=2), *PATHS)
