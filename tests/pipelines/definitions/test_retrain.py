"""The pipelines as Kubeflow would get them."""

import json
import re
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from components.base import InputError
from components.config import ClusterSettings, Engines, Profile, load_profile
from pipelines.definitions import batch, preprocess, retrain
from pipelines.definitions.compiled import compile_pipeline

TINY = load_profile("tiny")


def compiled(name: str, profile: Profile, folder: Path) -> list[dict[str, Any]]:
    """The documents of the file."""
    path = folder / "pipeline.yaml"
    compile_pipeline(name, profile, path)
    assert [file.name for file in path.parent.iterdir()] == ["pipeline.yaml"]
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def built(profile: Profile) -> dict[str, Any]:
    """The retraining pipeline of a profile."""
    with tempfile.TemporaryDirectory() as folder:
        return compiled("retrain", profile, Path(folder))[0]


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return built(TINY)


def tasks(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All tasks of all (nested) graphs, by name."""
    graphs = [spec["root"], *(c for c in spec["components"].values() if "dag" in c)]
    return {name: task for graph in graphs for name, task in graph["dag"]["tasks"].items()}


def _is_step(spec: dict[str, Any], task: dict[str, Any]) -> bool:
    return "executorLabel" in spec["components"][task["componentRef"]["name"]]


def listed(module: ModuleType) -> set[str]:
    """The steps that a pipeline's docstring lists."""
    return set(re.findall(r"^ *\d+\. (\w+) ", module.__doc__ or "", re.MULTILINE))


def test_the_docstrings_list_the_steps(spec: dict[str, Any]) -> None:
    steps = {n.replace("-", "_") for n, t in tasks(spec).items() if _is_step(spec, t)}
    assert steps == (listed(retrain) - {"preprocess", "engines"}) | listed(preprocess) | {"finish"}


def test_engines_are_made_before_the_promotion_and_not_of_what_was_refused() -> None:
    makers = Engines(tritons=("triton-engines.moodline:8001",))
    cluster = TINY.cluster.model_copy(update={"engines": makers})
    spec = built(TINY.model_copy(update={"cluster": cluster}))
    (graph,) = (c["dag"] for c in spec["components"].values() if "engines" in _tasks_of(c))
    (inner,) = (t for name, t in graph["tasks"].items() if name.startswith("condition"))
    assert inner["dependentTasks"] == ["engines"]
    conditions = {
        task["triggerPolicy"]["condition"]
        for c in spec["components"].values()
        for name, task in _tasks_of(c).items()
        if name.startswith("condition")
    }
    assert sum("!= 'fail'" in condition for condition in conditions) == 1
    assert sum("== 'pass'" in condition for condition in conditions) == 1
    step = graph["tasks"]["engines"]
    assert step["cachingOptions"] == {}, "the Tritons may have lost the engines since"
    settings = step["inputs"]["parameters"]["settings"]["runtimeValue"]["constant"]
    assert Engines.model_validate_json(settings) == makers
    assert "version" in step["inputs"]["parameters"]
    told = [tasks(one)["finish"]["inputs"]["parameters"]["engines"] for one in (spec, built(TINY))]
    assert [given["runtimeValue"]["constant"] for given in told] == [True, False]


def test_who_makes_engines_is_named_by_host_and_port() -> None:
    with pytest.raises(ValueError, match="'triton-engines' is no address; write host:port"):
        Engines(tritons=("triton-engines",))


def _tasks_of(component: dict[str, Any]) -> dict[str, Any]:
    tasks: dict[str, Any] = component.get("dag", {}).get("tasks", {})
    return tasks


def test_a_batch_asks_for_the_champion_before_it_hears_anything(tmp_path: Path) -> None:
    spec, _ = compiled("batch", TINY, tmp_path)
    steps = {n.replace("-", "_") for n, t in tasks(spec).items() if _is_step(spec, t)}
    assert steps == listed(batch)
    asked = tasks(spec)["champion"]["inputs"]["parameters"]["required"]["runtimeValue"]
    assert asked["constant"] is True
    assert "champion" in tasks(spec)["fetch"]["dependentTasks"]
    assert "fetch" in tasks(spec)["recordings-digest"]["dependentTasks"]
    assert tasks(spec)["predict"]["inputs"]["artifacts"].keys() == {"model", "corpus", "turns"}


def test_what_is_kept_in_the_registry_says_why_it_was_made(spec: dict[str, Any]) -> None:
    for step in ("register", "finish"):
        given = tasks(spec)[step]["inputs"]["parameters"]
        for name in ("reason", "cause"):
            source = given[name]["componentInputParameter"]
            assert source.removeprefix("pipelinechannel--") == name


def test_the_local_runner_knows_the_placeholders_too(spec: dict[str, Any]) -> None:
    """kfp's local runner fails on a name of the cluster's that it does not know."""
    from kfp.local.placeholder_utils import resolve_individual_placeholder

    given = [t["inputs"].get("parameters", {}) for t in tasks(spec).values() if "inputs" in t]
    constants = [p["runtimeValue"]["constant"] for g in given for p in g.values()
                 if "runtimeValue" in p]  # fmt: skip
    found = [text for text in constants if isinstance(text, str) and text.startswith("{{$")]
    assert found
    for text in found:
        said = resolve_individual_placeholder(
            text, {"inputs": {}, "outputs": {"outputFile": ""}}, "run", "task", "root", "7", "8"
        )
        assert said == "7"


def test_steps_are_wired_as_drawn(spec: dict[str, Any]) -> None:
    inner = tasks(spec)

    def feeds(step: str) -> set[str]:
        sources = inner[step]["inputs"].get("artifacts", {}).values()
        return {
            f"{made['producerTask']}.{made['outputArtifactKey']}"
            if (made := source.get("taskOutputArtifact"))
            else source["componentInputArtifact"].removeprefix("pipelinechannel--")
            for source in sources
        }

    assert feeds("transcribe") == feeds("diarize") == {"corpus-manifest"}
    loop = "for-loop-1.pipelinechannel--"
    assert {name.replace("for-loop-2", "for-loop-1") for name in feeds("align")} == {
        f"{loop}transcribe-transcripts",
        f"{loop}diarize-speakers",
    }
    assert feeds("label") == {"align.turns", "corpus.manifest"}
    assert feeds("train") == {"moodline-preprocess.corpus", "moodline-preprocess.examples"}
    assert feeds("evaluate") == {
        "train.model", "moodline-preprocess.corpus", "moodline-preprocess.turns", "fetch.model",
    }  # fmt: skip


def constant(spec: dict[str, Any], step: str, parameter: str) -> str:
    """What a step is given whenever the pipeline runs."""
    value = tasks(spec)[step]["inputs"]["parameters"][parameter]["runtimeValue"]["constant"]
    assert isinstance(value, str)
    return value


def test_a_step_sees_only_what_decides_its_result(spec: dict[str, Any]) -> None:
    assert constant(spec, "align", "profile") == TINY.align.model_dump_json()
    gentle = TINY.model_copy(update={"gate": TINY.gate.model_copy(update={"min_accuracy": 0.0})})
    other = built(gentle)
    for step in ("transcribe", "diarize", "align", "train"):
        assert constant(other, step, "profile") == constant(spec, step, "profile")
    assert constant(other, "evaluate", "profile") != constant(spec, "evaluate", "profile")
    quick = TINY.model_copy(update={"train": TINY.train.model_copy(update={"epochs": 1})})
    other = built(quick)
    assert constant(other, "align", "profile") == constant(spec, "align", "profile")
    assert constant(other, "train", "profile") != constant(spec, "train", "profile")


def test_shards_are_all_of_the_corpus_side_by_side(tmp_path: Path) -> None:
    cluster = ClusterSettings(shards=3, parallel=2)
    spec, _ = compiled("retrain", TINY.model_copy(update={"cluster": cluster}), tmp_path)
    (loop,) = (t for t in tasks(spec).values() if "parameterIterator" in t)
    assert json.loads(loop["parameterIterator"]["items"]["raw"]) == ["0/3", "1/3", "2/3"]
    assert loop["iteratorPolicy"] == {"parallelismLimit": 2}


def test_conditions_say_what_the_gate_decides(spec: dict[str, Any]) -> None:
    conditions = [
        t["triggerPolicy"]["condition"] for t in tasks(spec).values() if "triggerPolicy" in t
        and "condition" in t["triggerPolicy"]
    ]  # fmt: skip
    assert len(conditions) == 2
    assert sum("== 'pass'" in c for c in conditions) == 1
    assert sum("promote_if_passed" in c and "true" in c for c in conditions) == 1


def test_conditions_stand_on_unnamed_outputs(spec: dict[str, Any]) -> None:
    """kfp 2.17's local runner takes a condition on a named output for false, and says nothing."""
    for task in tasks(spec).values():
        condition = task.get("triggerPolicy", {}).get("condition", "")
        for channel in re.findall(r"pipelinechannel--([\w-]+)", condition):
            assert channel in spec["root"]["inputDefinitions"]["parameters"] or channel.endswith(
                "-Output"
            )


def test_look_ups_are_never_taken_from_a_cache(spec: dict[str, Any]) -> None:
    cached = {
        name
        for name, task in tasks(spec).items()
        if _is_step(spec, task) and task["cachingOptions"].get("enableCache")
    }
    assert cached == {
        "corpus", "transcribe", "diarize", "align", "label", "train", "fetch", "evaluate",
    }  # fmt: skip


def test_an_exit_handler_takes_note_of_failures(spec: dict[str, Any]) -> None:
    last = spec["root"]["dag"]["tasks"]["finish"]
    assert last["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    # Kubeflow Pipelines before 2.14 refuses a pipeline that asks for a task's final status.
    assert "taskFinalStatus" not in json.dumps(spec)


def test_every_step_has_a_name_and_an_image(spec: dict[str, Any]) -> None:
    for name, task in tasks(spec).items():
        if _is_step(spec, task):
            assert task["taskInfo"]["name"][0].isupper(), name
    for executor in spec["deploymentSpec"]["executors"].values():
        assert executor["container"]["image"].startswith("moodline/")
        assert "pip install" not in " ".join(executor["container"]["command"])


def test_a_compiled_pipeline_is_yaml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pipeline\.txt: a compiled pipeline is a \.yaml"):
        compile_pipeline("retrain", TINY, tmp_path / "pipeline.txt")
    assert not list(tmp_path.iterdir())
