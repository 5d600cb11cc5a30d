"""A compiled pipeline as the driver reads it: values resolved, conditions, fingerprints.

Places named below lie under backend/src/v2 of KFP 2.17.0.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import celpy
import celpy.adapter
import yaml

Inputs = dict[str, dict[str, Any]]
"""Of a task: its `parameters`, and its `artifacts` (a list each)."""


@dataclass(frozen=True)
class Compiled:
    """A pipeline's IR; Kubernetes' part is the second document of the file.

    Attributes:
        pipeline: the PipelineSpec as JSON.
        kubernetes: by executor: volumes, secrets, and so on.
    """

    pipeline: dict[str, Any]
    kubernetes: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Compiled":
        """Read a compiled pipeline."""
        pipeline, *platforms = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        kubernetes: dict[str, Any] = {}
        if platforms:
            specification = platforms[0]["platforms"]["kubernetes"]["deploymentSpec"]
            kubernetes = specification.get("executors", {})
        return cls(pipeline, kubernetes)

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.pipeline["pipelineInfo"]["name"])

    def component(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """What a task runs."""
        return self.pipeline["components"][task["componentRef"]["name"]]

    def container(self, component: Mapping[str, Any]) -> dict[str, Any]:
        """The container of a component that is no DAG."""
        executors = self.pipeline["deploymentSpec"]["executors"]
        return executors[component["executorLabel"]]["container"]


def upstream(task: Mapping[str, Any]) -> set[str]:
    """The tasks that must end before it begins."""
    needed = set(task.get("dependentTasks", ()))
    for kind in ("parameters", "artifacts"):
        for source in task.get("inputs", {}).get(kind, {}).values():
            for key in ("taskOutputParameter", "taskOutputArtifact", "taskFinalStatus"):
                if key in source:
                    needed.add(source[key]["producerTask"])
    return needed


def triggered(task: Mapping[str, Any], inputs: Inputs) -> bool:
    """expression/expression.go: the condition, in CEL, over the task's own inputs."""
    condition = task.get("triggerPolicy", {}).get("condition")
    if not condition:
        return True
    environment = celpy.Environment()
    program = environment.program(environment.compile(condition))
    values = celpy.adapter.json_to_cel({"parameter_values": inputs["parameters"]})
    return bool(program.evaluate({"inputs": values}))


def as_text(value: Any) -> str:
    """metadata/converter.go, PbValueToText: what a STRING gets that was something else."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def parse(text: str, kind: str) -> Any:
    """metadata/converter.go, TextToPbValue: an output's file as a value of its type."""
    if kind == "STRING":
        return text
    return json.loads(text)


def fingerprint(
    component: Mapping[str, Any], container: Mapping[str, Any], inputs: Inputs,
    outputs: Mapping[str, Any], claims: list[str],
) -> str:  # fmt: skip
    """driver/cache.go, getFingerPrint, and cacheutils/cache.go: what a cached result goes by.

    Not in it: the environment, what lies on volumes, an image's content.
    """
    definitions = component.get("outputDefinitions", {}).get("parameters", {})
    wiped = {
        name: [{key: value for key, value in a.items() if key != "uri"} for a in entry["artifacts"]]
        for name, entry in outputs.get("artifacts", {}).items()
    }
    key = {
        "inputArtifactNames": {
            name: [artifact["name"] for artifact in artifacts]
            for name, artifacts in inputs["artifacts"].items()
        },
        "inputParameterValues": inputs["parameters"],
        "outputArtifactsSpec": wiped,
        "outputParametersSpec": {n: definitions[n]["parameterType"] for n in definitions},
        "containerSpec": {
            "image": container["image"],
            "cmdArgs": [*container.get("command", ()), *container.get("args", ())],
            "pvcNames": sorted(set(claims)),
        },
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
