"""What a profile's `cluster` part makes of the pipeline: pods as Kubernetes would get them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.base import InputError
from components.config import Profile, Settings, TrainStep, load_profile
from components.config.pods import STEPS
from pipelines.definitions.code_version import IMAGE_FILES, ROOT, code_digest
from pipelines.definitions.compiled import PIPELINES, compile_pipeline
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


LIGHT = {
    "resourceCpuRequest": "1",
    "resourceCpuLimit": "1",
    "resourceMemoryRequest": "2Gi",
    "resourceMemoryLimit": "2Gi",
}


def with_cluster(**cluster: Any) -> Profile:
    demo = load_profile("tiny").model_dump(mode="json")
    return Profile.model_validate(demo | {"cluster": cluster})


Documents = tuple[dict[str, Any], dict[str, Any]]


def compiled(name: str, folder: Path, **cluster: Any) -> Documents:
    """The pipeline, and what of it only Kubernetes knows; by executor."""
    path = folder / "pipeline.yaml"
    compile_pipeline(name, with_cluster(**cluster), path)
    pipeline, platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    kubernetes = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return pipeline, kubernetes


def container(documents: Documents, step: str) -> dict[str, Any]:
    found: dict[str, Any] = documents[0]["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
    return found


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    return compiled("retrain", tmp_path_factory.mktemp("compiled"), **CLUSTER)


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


def test_no_step_without_a_gpu_sits_on_a_node_with_gpus(documents: Documents) -> None:
    assert not documents[1]["exec-evaluate"].keys() & {"nodeSelector", "tolerations"}
    assert container(documents, "evaluate")["resources"]["resourceMemoryLimit"] == "16Gi"


def test_every_step_asks_for_what_it_may_use(documents: Documents, tmp_path: Path) -> None:
    """A namespace with a quota refuses pods without requests and limits."""
    for pipeline, _ in (documents, compiled("batch", tmp_path)):
        for executor in pipeline["deploymentSpec"]["executors"].values():
            resources = executor["container"].get("resources", {})
            assert LIGHT.keys() <= resources.keys()
            assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"]
    # Older backends read the numbers that stand beside the texts.
    assert LIGHT.items() <= container(documents, "label")["resources"].items()


def test_a_step_has_what_it_is_given_of_its_own(tmp_path: Path) -> None:
    steps = {
        "evaluate": {"gpus": 1, "memory": "24Gi", "node_selector": {"pool": "small-gpu"}},
        "train": {"cpu": "6", "shared_memory": "2Gi", "tolerations": [], "timeout": "2d"},
        "label": {"memory": "4Gi", "node_selector": {"disk": "fast"}},
        "transcribe": {"gpus": 0},
    }
    documents = compiled("retrain", tmp_path, **CLUSTER, timeout="12h", steps=steps)
    kubernetes = documents[1]
    evaluate, train, label = (container(documents, n) for n in ("evaluate", "train", "label"))
    assert evaluate["resources"]["accelerator"]["resourceCount"] == "1"
    assert "/moodline/gpu:" in evaluate["image"]
    assert evaluate["resources"]["resourceMemoryLimit"] == "24Gi"
    assert kubernetes["exec-evaluate"]["nodeSelector"]["labels"] == {"pool": "small-gpu"}
    assert kubernetes["exec-evaluate"]["tolerations"]
    assert train["resources"]["resourceCpuLimit"] == "6"
    # Two processes, one for each GPU, share the processors.
    assert {"name": "OMP_NUM_THREADS", "value": "3"} in train["env"]
    assert kubernetes["exec-train"]["emptyDirMounts"][0]["sizeLimit"] == "2Gi"
    assert "tolerations" not in kubernetes["exec-train"]
    assert label["resources"]["resourceMemoryLimit"] == "4Gi"
    assert kubernetes["exec-label"]["nodeSelector"]["labels"] == {"disk": "fast"}
    assert "/moodline/cpu:" in container(documents, "transcribe")["image"]
    assert "accelerator" not in container(documents, "transcribe")["resources"]
    assert "nodeSelector" not in kubernetes["exec-transcribe"]
    for name, pod in kubernetes.items():
        hours = 48 if name == "exec-train" else 12
        assert int(pod["activeDeadlineSeconds"]) == hours * 3600, name


def test_pods_carry_what_queues_and_registries_ask_for(tmp_path: Path) -> None:
    given = {"labels": {"team": "speech"}, "queue": "night", "priority": "low"}
    _, kubernetes = compiled("batch", tmp_path, pull_secrets=["registry"], **given)
    for pod in kubernetes.values():
        (secret,) = pod["imagePullSecret"]
        assert secret["secretName"] == "registry"
        assert pod["podMetadata"]["labels"] == {
            "team": "speech",
            "kueue.x-k8s.io/queue-name": "night",
            "kueue.x-k8s.io/priority-class": "low",
        }


KUBERNETES_2_15 = {
    "secretAsEnv": {"secretName", "keyToEnv", "optional", "secretNameParameter"},
    "pvcMount": {"constant", "mountPath", "pvcNameParameter"},
    "nodeSelector": {"labels"},
    "podMetadata": {"labels"},
    "imagePullSecret": {"secretName", "secretNameParameter"},
    "tolerations": {"key", "operator", "value", "effect"},
    "emptyDirMounts": {"volumeName", "mountPath", "medium", "sizeLimit"},
    "imagePullPolicy": set(),
    "activeDeadlineSeconds": set(),
    "fieldPathAsEnv": {"name", "fieldPath"},
}
"""Fields of kubernetes_executor_config.proto at KFP 2.15.0: a backend refuses what it knows not."""


def test_the_oldest_backend_knows_every_field(tmp_path: Path) -> None:
    more = {"labels": {"team": "speech"}, "queue": "night", "pull_secrets": ["registry"]}
    _, kubernetes = compiled("retrain", tmp_path, **CLUSTER, **more)
    used: set[str] = set()
    for pod in kubernetes.values():
        for field, value in pod.items():
            used.add(field)
            for entry in value if isinstance(value, list) else [value]:
                inner = entry.keys() if isinstance(entry, dict) else set()
                assert inner <= KUBERNETES_2_15[field], field
    assert used == KUBERNETES_2_15.keys()


def test_an_image_may_be_given_by_its_own_digest(tmp_path: Path) -> None:
    slim = f"other.example.com/slim@sha256:{'0a' * 32}"
    documents = compiled("batch", tmp_path, **CLUSTER, images={"slim": slim})
    assert container(documents, "align")["image"] == slim
    assert container(documents, "predict")["image"].startswith("registry.example.com/team/")


def test_the_code_s_digest_is_over_what_the_images_are_made_of() -> None:
    """The images hold these files, so that a pod finds the same names for them."""
    dockerfile = (ROOT / "infra/images/Dockerfile").read_text(encoding="utf-8")
    step = dockerfile[dockerfile.index(" AS step") : dockerfile.index(" AS serve")]
    for name in IMAGE_FILES:
        assert re.search(rf"^COPY .*\b{re.escape(name)} .*/app/", step, re.MULTILINE), name


def test_without_gpus_all_models_run_on_the_named_nodes(tmp_path: Path) -> None:
    _, kubernetes = compiled("batch", tmp_path, node_selector={"pool": "large"})
    placed = {name for name, pod in kubernetes.items() if "nodeSelector" in pod}
    assert placed == {"exec-transcribe", "exec-diarize", "exec-predict"}


def test_the_steps_that_may_be_named_are_those_there_are(tmp_path: Path) -> None:
    others = {"nodes": 2, "volume": CLUSTER["volume"], "engines": {"tritons": ["t:8001"]}}
    graphs = [compiled(pipeline, tmp_path) for pipeline in PIPELINES]
    graphs.append(compiled("retrain", tmp_path, **others))
    names = {n.removeprefix("exec-").replace("-", "_") for _, pods in graphs for n in pods}
    assert names == set(STEPS)


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
        assert plain.pop("OMP_NUM_THREADS") in ("1", "2", "4")
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


def test_over_several_nodes_a_step_makes_a_trainjob_and_hands_its_model_on(
    tmp_path: Path, documents: Documents
) -> None:
    several = compiled("retrain", tmp_path, **CLUSTER, nodes=2)
    step, alone = container(several, "train-nodes"), container(documents, "train")
    assert "exec-train" not in several[1]
    assert "/moodline/slim:" in step["image"] and "accelerator" not in step["resources"]
    variables = {entry["name"]: entry["value"] for entry in step["env"]}
    job = json.loads(variables["MOODLINE_TRAINJOB"])
    assert job["spec"]["trainer"]["image"] == alone["image"]
    assert job["spec"]["trainer"]["numNodes"] == 2
    # What is computed is the same: evaluate gets the same inputs, from another task.
    dags = [
        next(c["dag"]["tasks"] for c in pipeline["components"].values()
             if "evaluate" in c.get("dag", {}).get("tasks", {}))
        for pipeline, _ in (documents, several)
    ]  # fmt: skip
    one, other = (json.dumps(tasks["evaluate"]["inputs"], sort_keys=True) for tasks in dags)
    assert one.replace('"train"', '"train-nodes"') == other
    # The step finds its own job again by the run; the run is no part of KFP's key for the cache.
    for pods, name in ((several[1], "train-nodes"), (documents[1], "train")):
        (field,) = pods[f"exec-{name}"]["fieldPathAsEnv"]
        assert field == {
            "name": "MOODLINE_PIPELINE_RUN", "fieldPath": "metadata.labels['pipeline/runid']",
        }  # fmt: skip


def test_where_a_run_happens_is_no_part_of_what_it_computes() -> None:
    assert with_cluster(**CLUSTER).digest() == load_profile("tiny").digest()
    assert "registry" not in TrainStep.of(with_cluster(**CLUSTER)).model_dump_json()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"gpu_count": 1}, "cluster.gpu_count"),
        ({"memory": "16 GB"}, "cluster.memory"),
        ({"shards": 0}, "cluster.shards"),
        ({"tolerations": [{"key": "a", "effect": "Never"}]}, "cluster.toleration 1: "),
        ({"memory": "1.5Gi"}, "cluster.memory"),
        ({"cpu": "0"}, "cluster.cpu"),
        (
            {"steps": {"traim": {}}},
            r"unknown step 'traim'; known: corpus_digest, .*; is train meant\?",
        ),
        ({"steps": {"train": {"gpu": 1}}}, r"cluster\.steps\.train\.gpu: .*is gpus meant\?"),
        ({"steps": {"label": {"gpus": 1}}}, "label runs no model, and has no use for GPUs"),
        ({"steps": {"train": {"timeout": "soon"}}}, "timeout: is no length of time; write 90s"),
        ({"timeout": 0}, "cluster.timeout"),
        ({"images": {"gpu": "moodline/gpu:1"}}, "cluster.images.gpu"),
        ({"priority": "high"}, "cluster: priority orders a Kueue queue"),
        ({"queue": "My queue"}, "cluster.queue"),
        ({"labels": {"team": "a b"}}, "cluster.labels.team"),
    ],
)
def test_a_wrong_entry_is_named(wrong: dict[str, Any], says: str, tmp_path: Path) -> None:
    profile = load_profile("tiny").model_dump(mode="json") | {"cluster": wrong}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(profile))
    with pytest.raises(InputError, match=says) as error:
        load_profile(str(path))
    assert "\n" not in str(error.value)


def test_the_same_definition_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that a cluster is told about the pods: nothing of it reaches this machine."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    profile = with_cluster(**CLUSTER | {"shards": 1})
    settings = Settings(home=tmp_path / "home")
    arguments = {"says": "pass"}
    run = run_pipeline("tiny_pipeline:tiny_pipeline", profile, arguments, settings)
    assert run.outputs["make"]["parameters"]["Output"] == str(settings.home.resolve())
