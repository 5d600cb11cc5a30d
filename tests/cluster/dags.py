"""The tasks of a pipeline's DAGs, one after the other: inputs resolved, branches, loops, outputs.

Places named below lie under backend/src/v2 of KFP 2.17.0.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.cluster.metadata import Artifact, Execution, Metadata
from tests.cluster.specification import Compiled, Inputs, as_text, triggered, upstream

Container = Callable[[str, Mapping[str, Any], Mapping[str, Any], Execution, Inputs], None]
"""Runs a task that is a container: its name, itself, its component, its execution, its inputs.

Raises `TaskFailed` where it fails."""


class TaskFailed(Exception):
    """A task failed: what comes after it is not begun (Argo's `failFast`)."""


@dataclass
class Walk:
    """One run's way through its DAGs.

    Attributes:
        run: its name.
        container: runs a step.
    """

    metadata: Metadata
    compiled: Compiled
    run: str
    container: Container

    def dag(self, component: Mapping[str, Any], execution: Execution, inputs: Inputs) -> None:
        """Run a DAG's tasks; its outputs are noted with its execution.

        Raises:
            TaskFailed: one of them failed.
        """
        tasks, done = component["dag"]["tasks"], dict[str, Execution]()
        failed = False
        for name in _order(tasks):
            always = tasks[name].get("triggerPolicy", {}).get("strategy", "").startswith("ALL_")
            if failed and not always:
                continue
            if not all(needed in done for needed in upstream(tasks[name])) and not always:
                continue
            try:
                self.task(name, tasks[name], execution, inputs, done)
            except TaskFailed:
                failed = True
        if failed:
            raise TaskFailed
        self._outputs(component, execution, done)

    def task(
        self, name: str, task: Mapping[str, Any], dag: Execution, inputs: Inputs,
        done: dict[str, Execution],
    ) -> None:  # fmt: skip
        """Run one task of a DAG."""
        component = self.compiled.component(task)
        resolved = self._resolve(task, component, inputs, done)
        begins = triggered(task, resolved)
        is_dag = "dag" in component
        if not begins:
            # driver/dag.go and driver/container.go, NotTriggered
            count = len(component["dag"]["tasks"]) if is_dag else None
            self.metadata.create(name, dag, count, triggered=False)
            return
        if "parameterIterator" in task:
            done[name] = self._loop(name, task, component, dag, resolved)
        elif is_dag:
            tasks = len(component["dag"]["tasks"])
            done[name] = execution = self.metadata.create(name, dag, tasks)
            self.dag(component, execution, _with_defaults(component, resolved))
        else:
            done[name] = execution = self.metadata.create(name, dag)
            self.container(name, task, component, execution, resolved)

    def _loop(
        self, name: str, task: Mapping[str, Any], component: Mapping[str, Any], dag: Execution,
        resolved: Inputs,
    ) -> Execution:  # fmt: skip
        """driver/dag.go, ParameterIterator; driver/resolve.go, CollectInputs: outputs are lists."""
        iterator = task["parameterIterator"]
        source = iterator["items"]
        items = (
            json.loads(source["raw"]) if "raw" in source
            else resolved["parameters"][source["inputParameter"]]
        )  # fmt: skip
        execution = self.metadata.create(name, dag, len(items))
        for index, item in enumerate(items):
            tasks = len(component["dag"]["tasks"])
            one = self.metadata.create(f"{name}-{index}", execution, tasks)
            parameters = resolved["parameters"] | {iterator["itemInput"]: item}
            self.dag(component, one, resolved | {"parameters": parameters})
            for key, value in one.parameters.items():
                execution.parameters.setdefault(key, []).append(value)
            for key, artifacts in one.artifacts.items():
                execution.artifacts.setdefault(key, []).extend(artifacts)
        return execution

    def _resolve(
        self, task: Mapping[str, Any], component: Mapping[str, Any], inputs: Inputs,
        done: Mapping[str, Execution],
    ) -> Inputs:  # fmt: skip
        """driver/resolve.go, resolveInputs."""
        given = task.get("inputs", {})
        definitions = component.get("inputDefinitions", {}).get("parameters", {})
        parameters = {}
        for name, source in given.get("parameters", {}).items():
            if "componentInputParameter" in source:
                value = inputs["parameters"].get(source["componentInputParameter"])
            elif "taskOutputParameter" in source:
                output = source["taskOutputParameter"]
                value = done[output["producerTask"]].parameters[output["outputParameterKey"]]
            elif "taskFinalStatus" in source:
                value = self._final_status(source["taskFinalStatus"]["producerTask"])
            else:
                value = source["runtimeValue"]["constant"]
                if value == "{{$.pipeline_job_uuid}}":
                    value = self.run
            if value is None and definitions.get(name, {}).get("isOptional"):
                continue
            text = definitions.get(name, {}).get("parameterType") == "STRING"
            parameters[name] = as_text(value) if text else value
        artifacts: dict[str, list[Artifact]] = {}
        for name, source in given.get("artifacts", {}).items():
            if "componentInputArtifact" in source:
                artifacts[name] = inputs["artifacts"][source["componentInputArtifact"]]
            else:
                output = source["taskOutputArtifact"]
                artifacts[name] = done[output["producerTask"]].artifacts[
                    output["outputArtifactKey"]
                ]
        return {"parameters": parameters, "artifacts": artifacts}

    def _final_status(self, producer: str) -> dict[str, Any]:
        """driver/resolve.go, TaskFinalStatus: ML Metadata's state, and never a message."""
        (execution,) = (e for e in self._executions() if e.task == producer)
        return {
            "state": execution.state,
            "pipelineTaskName": producer,
            "pipelineJobResourceName": self.run,
            "error": {},
        }

    def _executions(self) -> Iterator[Execution]:
        everything = self.metadata.executions
        root = max(e.number for e in everything if e.parent is None)
        return iter(everything[root:])

    def _outputs(
        self, component: Mapping[str, Any], execution: Execution, done: Mapping[str, Execution]
    ) -> None:
        """driver/resolve.go, GetProducerTask: a DAG's outputs are those of tasks in it."""
        outputs = component["dag"].get("outputs", {})
        for name, source in outputs.get("parameters", {}).items():
            one = source["valueFromParameter"]
            values = done[one["producerSubtask"]].parameters
            execution.parameters[name] = values[one["outputParameterKey"]]
        for name, source in outputs.get("artifacts", {}).items():
            (one,) = source["artifactSelectors"]
            values = done[one["producerSubtask"]].artifacts
            execution.artifacts[name] = values[one["outputArtifactKey"]]


def defaults(component: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a DAG that have a value where nobody gives one."""
    definitions = component.get("inputDefinitions", {}).get("parameters", {})
    return {n: d["defaultValue"] for n, d in definitions.items() if "defaultValue" in d}


def _with_defaults(component: Mapping[str, Any], inputs: Inputs) -> Inputs:
    """A DAG's driver fills in what was left out; a container's leaves that to the component."""
    return inputs | {"parameters": defaults(component) | inputs["parameters"]}


def _order(tasks: Mapping[str, Any]) -> list[str]:
    """The tasks, each after those that it needs."""
    order: list[str] = []
    while len(order) < len(tasks):
        ready = [n for n in tasks if n not in order and upstream(tasks[n]) <= set(order)]
        assert ready, "the tasks need one another"
        order += ready
    return order
