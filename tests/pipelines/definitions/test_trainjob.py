"""The TrainJob, held to the models of Kubeflow Trainer's own API."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob

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


@pytest.mark.parametrize("cluster", [CLUSTER, {"volume": CLUSTER["volume"]}])
def test_every_field_is_one_that_kubeflow_trainer_knows(cluster: dict[str, Any]) -> None:
    manifest = train_job(with_cluster(**cluster), *PATHS)
    assert known(manifest) == manifest


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
