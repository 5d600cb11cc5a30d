"""A Kubeflow Pipelines backend on one machine: a compiled pipeline's IR, executed step by step.

Places named below lie under backend/src/v2 of KFP 2.17.0. Tasks run one after the other.
"""

import contextlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.dags import TaskFailed, Walk, defaults
from tests.cluster.launcher import Launcher, Result
from tests.cluster.metadata import Execution, Metadata
from tests.cluster.objects import SCHEME
from tests.cluster.pods import Pod, quantity
from tests.cluster.specification import Compiled, Inputs, fingerprint

PIPELINE_ROOT = "v2/artifacts"


@dataclass
class Run:
    """A run of a pipeline.

    Attributes:
        name: of the run.
        executions: its tasks, in the order in which they began.
        results: what each container's launcher said, by task; of a task in a loop, the last.
        failed: the first task that failed; empty: the run has succeeded.
    """

    name: str
    executions: list[Execution] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    failed: str = ""

    def states(self) -> dict[str, str]:
        """Each task's state, by its name."""
        return {execution.task: execution.state for execution in self.executions}

    def log(self, task: str) -> str:
        """What a task's pod printed."""
        ended = self.results[task].ended
        return ended.log if ended else ""


class Backend:
    """One cluster: its metadata outlives runs.

    Args:
        launcher: runs the steps.
        volumes: folders by the claim's name.
        secrets: by name, their keys and values.
    """

    def __init__(
        self, launcher: Launcher, volumes: Mapping[str, Path],
        secrets: Mapping[str, Mapping[str, str]],
    ) -> None:  # fmt: skip
        self.launcher, self.volumes, self.secrets = launcher, volumes, secrets
        self.metadata = Metadata()
        self.on_step: Callable[[str], None] = lambda task: None
        self.cluster_environment: dict[str, str] = {}
        """What the kubelet gives every pod: where the API is."""

    def run(self, path: Path, arguments: Mapping[str, Any]) -> Run:
        """Run a compiled pipeline to its end."""
        compiled = Compiled.read(path)
        run = Run(f"{compiled.name}-{uuid.uuid4().hex[:5]}")
        root = compiled.pipeline["root"]
        parameters = defaults(root) | dict(arguments)
        dag = self.metadata.create("", None)
        inputs: Inputs = {"parameters": parameters, "artifacts": {}}
        step = _Steps(self, compiled, run).container
        try:
            with contextlib.suppress(TaskFailed):
                Walk(self.metadata, compiled, run.name, step).dag(root, dag, inputs)
        finally:
            run.executions = self.metadata.executions[dag.number :]
        return run


@dataclass
class _Steps:
    """Runs the containers of a run."""

    backend: Backend
    compiled: Compiled
    run: Run

    def container(
        self, name: str, task: Mapping[str, Any], component: Mapping[str, Any],
        execution: Execution, resolved: Inputs,
    ) -> None:  # fmt: skip
        """driver/container.go, Container, and what Argo makes of it."""
        backend, container = self.backend, self.compiled.container(component)
        kubernetes = self.compiled.kubernetes.get(component["executorLabel"], {})
        claims = [self._claim(mount) for mount in kubernetes.get("pvcMount", ())]
        outputs = self._provision(name, component)
        key = ("", "")
        if task.get("cachingOptions", {}).get("enableCache"):
            print_ = fingerprint(component, container, resolved, outputs, claims)
            key = (self.compiled.name, print_)
            if key in backend.metadata.cache:
                # reuseCachedOutputs: whether the artifacts are still there is not looked at.
                cached = backend.metadata.cache[key]
                execution.parameters, execution.artifacts = cached.parameters, cached.artifacts
                execution.state = "CACHED"
                return
        executor_input = {
            "inputs": {
                "parameterValues": resolved["parameters"],
                "artifacts": {n: {"artifacts": a} for n, a in resolved["artifacts"].items()},
            },
            "outputs": outputs,
        }
        backend.on_step(name)
        pod = self._pod(container, kubernetes)
        attempts = 1 + int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
        for _ in range(attempts):  # Argo waits between them
            result = backend.launcher.launch(component, container, executor_input, pod)
            if result.ended:  # shown by make test-cluster
                ended = result.ended
                print(f"{name:20} {ended.seconds:6.1f} s {ended.peak >> 20:5} MB {result.error}")
            self.run.results[name] = result
            if not result.error:
                break
        if result.error:
            # A launcher that is killed with its pod publishes nothing.
            if not (result.ended and result.ended.killed):
                execution.state = "FAILED"
                backend.metadata.update(execution.parent)
            self.run.failed = self.run.failed or name
            raise TaskFailed
        execution.state = "COMPLETE"
        execution.parameters = result.parameters
        execution.artifacts = {n: [backend.metadata.record(a)] for n, a in result.artifacts.items()}
        backend.metadata.update(execution.parent)
        if key[0]:
            backend.metadata.cache[key] = execution

    def _provision(self, name: str, component: Mapping[str, Any]) -> dict[str, Any]:
        """driver/driver.go, provisionOutputs."""
        definitions = component.get("outputDefinitions", {})
        bucket = self.backend.launcher.store.bucket
        place = f"{bucket}/{PIPELINE_ROOT}/{self.compiled.name}/{self.run.name}/{name}"
        place += f"/{uuid.uuid4()}"
        artifacts = {
            output: {
                "artifacts": [
                    {
                        "name": output,
                        "uri": f"{SCHEME}{place}/{output}",
                        "type": definition["artifactType"],
                        "metadata": definition.get("metadata", {}),
                    }
                ]
            }
            for output, definition in definitions.get("artifacts", {}).items()
        }
        parameters = {
            output: {"outputFile": f"/tmp/kfp/outputs/{output}"}
            for output in definitions.get("parameters", {})
        }
        file = f"/minio/{place}/output_metadata.json"
        return {"artifacts": artifacts, "parameters": parameters, "outputFile": file}

    def _pod(self, container: Mapping[str, Any], kubernetes: Mapping[str, Any]) -> Pod:
        """driver/driver.go, initPodSpecPatch; driver/k8s.go, extendPodSpecPatch."""
        environment = {e["name"]: e["value"] for e in container.get("env", ())}
        for secret in kubernetes.get("secretAsEnv", ()):
            keys = self.backend.secrets[_name(secret, "secretName")]
            for entry in secret["keyToEnv"]:
                environment[entry["envVar"]] = keys[entry["secretKey"]]
        for entry in kubernetes.get("fieldPathAsEnv", ()):
            # argocompiler, v2_template.go: SetPodMetadataLabels
            labels = {"metadata.labels['pipeline/runid']": self.run.name}
            environment[entry["name"]] = labels[entry["fieldPath"]]
        environment |= self.backend.cluster_environment
        volumes = {
            mount["mountPath"]: self.backend.volumes[self._claim(mount)]
            for mount in kubernetes.get("pvcMount", ())
        }
        resources = container.get("resources", {})
        limit = resources.get("resourceMemoryLimit") or resources.get("resourceMemoryRequest")
        return Pod([], environment, volumes, quantity(limit) if limit else None)

    @staticmethod
    def _claim(mount: Mapping[str, Any]) -> str:
        return _name(mount, "pvcName")


def _name(source: Mapping[str, Any], key: str) -> str:
    """A name that Kubernetes' part holds: older SDKs directly, newer as a parameter."""
    direct = source.get("constant") or source.get(key)
    return direct or source[f"{key}Parameter"]["runtimeValue"]["constant"]
