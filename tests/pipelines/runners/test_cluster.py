"""What a profile's `cluster` part makes of the pipeline: pods as Kubernetes would get them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.base import InputError
from components.config import Profile, Settings, TrainStep, load_profile
from pipelines.definitions.code_version import code_digest
from pipelines.definitions.compiled import compile_pipeline
from pipelines.runners.local import run_pipeline

CLUSTER: dict[str, Any] = {
    "registry": "registry.example.com/team",
    "pull": "Always",
    "shards": 4,
    "gpus": 1,
    "train_gpus": 2,
    "cpu": "4",
    "memory": "16Gi",
    "shared_memory": "8Gi",
    "retries": 3,
    "node_selector": {"pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
    "volume": {"claim": "moodline-state", "mount": "/state"},
    "secrets": [{"name": "moodline", "env": {"hub-token": "MOODLINE_HUB_TOKEN"}}],
    "env": {"MOODLINE_MLFLOW_URI": "http://mlflow:5000"},
}
GPU_STEPS = {"transcribe": 1, "diarize": 1, "train": 2}


def with_cluster(**cluster: Any) -> Profile:
    demo = load_profile("demo").model_dump(mode="json")
    return Profile.model_validate(demo | {"cluster": cluster})


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline, and what of it only Kubernetes knows; by executor."""
    path = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_pipeline("retrain", with_cluster(**CLUSTER), path)
    pipeline, platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    kubernetes = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return pipeline, kubernetes


def test_models_run_where_the_gpus_are(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    pipeline, kubernetes = documents
    executors = pipeline["deploymentSpec"]["executors"]
    with_gpu = {
        name.removeprefix("exec-"): int(accelerator["resourceCount"])
        for name, executor in executors.items()
        if (accelerator := executor["container"].get("resources", {}).get("accelerator"))
    }
    assert with_gpu == GPU_STEPS
    for step in GPU_STEPS:
        container, pod = executors[f"exec-{step}"]["container"], kubernetes[f"exec-{step}"]
        assert container["image"] == f"registry.example.com/team/moodline/gpu:{code_digest()}"
        assert container["resources"]["accelerator"]["resourceType"] == "nvidia.com/gpu"
        assert container["resources"]["resourceMemoryLimit"] == "16Gi"
        assert container["resources"]["resourceCpuRequest"] == "4"
        assert pod["nodeSelector"]["labels"] == {"pool": "gpu"}
        assert pod["tolerations"] == [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        ]
        (shared,) = pod["emptyDirMounts"]
        assert (shared["mountPath"], shared["medium"], shared["sizeLimit"]) == (
            "/dev/shm", "Memory", "8Gi",
        )  # fmt: skip
    for step in ("align", "label", "register"):
        assert "/moodline/slim:" in executors[f"exec-{step}"]["container"]["image"]
        assert "nodeSelector" not in kubernetes[f"exec-{step}"]


def test_every_pod_finds_its_state_and_secrets(
    documents: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    pipeline, kubernetes = documents
    executors = pipeline["deploymentSpec"]["executors"]
    assert set(kubernetes) == set(executors)
    for name, pod in kubernetes.items():
        assert pod["imagePullPolicy"] == "Always"
        (mount,) = pod["pvcMount"]
        assert (mount["constant"], mount["mountPath"]) == ("moodline-state", "/state")
        (secret,) = pod["secretAsEnv"]
        assert secret["secretName"] == "moodline"
        (key,) = secret["keyToEnv"]
        assert (key["secretKey"], key["envVar"]) == ("hub-token", "MOODLINE_HUB_TOKEN")
        plain = {e["name"]: e["value"] for e in executors[name]["container"]["env"]}
        assert plain == {"MOODLINE_HOME": "/state", "MOODLINE_MLFLOW_URI": "http://mlflow:5000"}


def test_only_steps_that_are_safe_to_repeat_are_started_again(
    documents: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    pipeline, _ = documents
    graphs = [pipeline["root"], *(c for c in pipeline["components"].values() if "dag" in c)]
    tasks = {name: t for graph in graphs for name, t in graph["dag"]["tasks"].items()}
    tries = {n: t["retryPolicy"]["maxRetryCount"] for n, t in tasks.items() if "retryPolicy" in t}
    assert tries == dict.fromkeys(
        ("corpus", "transcribe", "diarize", "align", "label", "train", "fetch", "evaluate"), 3
    )


def test_where_a_run_happens_is_no_part_of_what_it_computes() -> None:
    assert with_cluster(**CLUSTER).digest() == load_profile("demo").digest()
    assert "registry" not in TrainStep.of(with_cluster(**CLUSTER)).model_dump_json()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"gpu_count": 1}, "cluster.gpu_count"),
        ({"memory": "16 GB"}, "cluster.memory"),
        ({"shards": 0}, "cluster.shards"),
        ({"tolerations": [{"key": "a", "effect": "Never"}]}, "cluster.toleration 1: "),
    ],
)
def test_a_wrong_entry_is_named(wrong: dict[str, Any], says: str, tmp_path: Path) -> None:
    profile = load_profile("demo").model_dump(mode="json") | {"cluster": wrong}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(profile))
    with pytest.raises(InputError, match=says):
        load_profile(str(path))


def test_the_same_definition_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that a cluster is told about the pods: nothing of it reaches this machine."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    profile = with_cluster(**CLUSTER | {"shards": 1})
    settings = Settings(home=tmp_path / "home")
    arguments = {"says": "pass"}
    run = run_pipeline("tiny_pipeline:tiny_pipeline", profile, arguments, settings)
    assert run.outputs["make"]["parameters"]["Output"] == str(settings.home.resolve())
