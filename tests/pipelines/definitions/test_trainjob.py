"""The TrainJob, held to the models of Kubeflow Trainer's own API."""

from typing import Any

import pytest
from pydantic import ValidationError

from components.base import InputError
from components.config import Profile, load_profile
from pipelines.definitions.trainjob import train_job
from tests.infra.trainjob_schema import OLD, known

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


def with_cluster(**cluster: Any) -> Profile:
    demo = load_profile("tiny").model_dump(mode="json")
    return Profile.model_validate(demo | {"cluster": cluster})


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
    manifest = train_job(with_cluster(**given))
    assert known(manifest) == manifest
    pod = patched_pod(manifest)
    assert pod["securityContext"] == {"fsGroup": 10001}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert manifest["spec"]["activeDeadlineSeconds"] == 7 * 86400


@pytest.mark.parametrize("trainer", OLD)
@pytest.mark.parametrize("cluster", [FULL, {"volume": CLUSTER["volume"]}])
def test_older_trainers_have_forms_of_their_own(cluster: dict[str, Any], trainer: str) -> None:
    manifest = train_job(with_cluster(**cluster, trainer=float(trainer)))
    field, kind = OLD[trainer]
    (override,) = manifest["spec"].pop(field)
    kind.model_validate(override)
    assert override.pop("targetJobs") == [{"name": "node"}]
    newest = patched_pod(train_job(with_cluster(**cluster, trainer="2.2")))
    assert newest == {"securityContext": {"fsGroup": 10001}, **override.get("spec", override)}
    # The rest is as it is today.
    assert known(manifest) == manifest
    assert "activeDeadlineSeconds" not in manifest["spec"]


def test_trainer_2_0_has_no_pull_secrets() -> None:
    with pytest.raises(InputError, match=r"cluster\.pull_secrets: Kubeflow Trainer 2\.0 cannot"):
        train_job(with_cluster(**FULL, trainer="2.0", pull_secrets=["a"]))
    with pytest.raises(ValidationError, match=r"'2\.0', '2\.1', '2\.2' or '2\.3'"):
        with_cluster(trainer="1.9")


def test_each_job_has_a_name_of_its_own_and_waits_in_the_queue() -> None:
    profile = with_cluster(**FULL)
    metadata = train_job(profile)["metadata"]
    assert metadata == {
        "generateName": "moodline-tiny-",
        "namespace": "speech",
        "labels": {"kueue.x-k8s.io/queue-name": "night"},
    }
    longest = profile.model_copy(update={"name": "x" * 40})
    prefix = train_job(longest)["metadata"]["generateName"]
    # The longest name that JobSet makes of it: a pod's.
    assert len(f"{prefix}12345678-node-0-999-abcde") <= 63


def test_an_unknown_field_would_be_noticed() -> None:
    manifest = train_job(with_cluster(**CLUSTER))
    manifest["spec"]["trainer"]["gpus"] = 2
    assert known(manifest) != manifest


def test_it_runs_the_entry_point_of_the_step_on_every_node() -> None:
    trainer = train_job(with_cluster(**CLUSTER))["spec"]["trainer"]
    assert trainer["command"] == ["torchrun", "-m", "components.train"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (3, 2)
    assert trainer["resourcesPerNode"]["limits"] == {
        "cpu": "2", "memory": "32Gi", "nvidia.com/gpu": "2",
    }  # fmt: skip
    assert "moodline/gpu:" in trainer["image"]


def test_nodes_meet_on_a_volume_or_in_an_object_store() -> None:
    with pytest.raises(InputError, match=r"cluster\.nodes: 2 nodes need a place .*MOODLINE_CACHE"):
        train_job(with_cluster(nodes=2))
    cache = {"MOODLINE_CACHE": "s3://moodline/cache"}
    for trainer in ("2.0", "2.1", "2.2"):
        job = train_job(with_cluster(nodes=2, trainer=trainer, env=cache))
        assert "persistentVolumeClaim" not in str(job)
        assert {"name": "MOODLINE_HOME", "value": "/tmp/moodline"} in job["spec"]["trainer"]["env"]
