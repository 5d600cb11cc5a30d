"""One step as KFP's launcher runs it (backend/src/v2/component/launcher_v2.go, KFP 2.17.0).

Its inputs come out of the object store into an empty pod; what it leaves goes back, file by file;
then the pod is gone. The launcher runs inside the pod on a cluster, and beside it here.
"""

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.objects import SCHEME, ObjectStore
from tests.cluster.pods import SCRATCH, USER, Ended, Namespaces, Pod
from tests.cluster.specification import parse


@dataclass
class Result:
    """What a step left.

    Attributes:
        ended: how its pod ended; None: it never started.
        error: why it failed; empty: it did not.
        parameters: its output parameters.
        artifacts: its output artifacts, as they were uploaded.
        longest: of its command's words, in bytes.
        seconds: how long it took, with the moves of its artifacts.
    """

    ended: Ended | None = None
    error: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    longest: int = 0
    seconds: float = 0.0


class Launcher:
    """Runs steps.

    Args:
        store: KFP's bucket.
        pods: what runs a pod.
        folder: for the scratch of the pods.
    """

    def __init__(self, store: ObjectStore, pods: Namespaces, folder: Path) -> None:
        self.store, self.pods, self.folder = store, pods, folder

    def launch(
        self, component: Mapping[str, Any], container: Mapping[str, Any],
        executor_input: dict[str, Any], pod: Pod,
    ) -> Result:  # fmt: skip
        """Execute: download, run, collect, upload; the local copy is wiped.

        The pod's command is filled in here, from the container's.
        """
        scratch = self.folder / "pod"
        shutil.rmtree(scratch, ignore_errors=True)
        # compileCmdAndArgs
        text = json.dumps(executor_input, separators=(",", ":"))
        words = [*container.get("command", ()), *container.get("args", ())]
        command = [word.replace("{{$}}", text) for word in words]
        filled = Pod(command, pod.environment, pod.volumes, pod.memory)
        began = time.monotonic()
        try:
            result = self._launch(component, executor_input, filled, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        result.longest = max(len(os.fsencode(word)) for word in command)
        result.seconds = time.monotonic() - began
        return result

    def _launch(
        self, component: Mapping[str, Any], executor_input: dict[str, Any], pod: Pod, scratch: Path
    ) -> Result:
        for name in SCRATCH:
            (scratch / name).mkdir(parents=True)
        # downloadArtifacts
        for entry in executor_input["inputs"]["artifacts"].values():
            for artifact in entry["artifacts"]:
                uri = artifact["uri"]
                self.store.download(self.store.key(uri), _outside(scratch, _local(uri)))
        # prepareOutputFolders
        outputs = executor_input["outputs"]
        paths = [_local(a["uri"]) for e in outputs["artifacts"].values() for a in e["artifacts"]]
        paths += [entry["outputFile"] for entry in outputs["parameters"].values()]
        for path in (*paths, outputs["outputFile"]):
            _outside(scratch, path).parent.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            for path in (scratch, *scratch.rglob("*")):
                os.chown(path, USER, USER)
        try:
            ended = self.pods.run(pod, scratch)
        except OSError as error:
            # Linux takes no argument of more than 128 KiB.
            return Result(error=f"{error.strerror}: the step's arguments")
        if ended.status:
            reason = "OOMKilled" if ended.killed else f"exit status {ended.status}"
            return Result(ended, reason)
        return self._collect(component, outputs, scratch, ended)

    def _collect(
        self, component: Mapping[str, Any], outputs: dict[str, Any], scratch: Path, ended: Ended
    ) -> Result:
        """collectOutputParameters and uploadOutputArtifacts."""
        said: dict[str, Any] = {}
        file = _outside(scratch, outputs["outputFile"])
        if file.exists():
            said = json.loads(file.read_text(encoding="utf-8"))
        parameters = dict(said.get("parameterValues", {}))
        definitions = component.get("outputDefinitions", {}).get("parameters", {})
        for name, entry in outputs["parameters"].items():
            if name not in parameters:
                path = _outside(scratch, entry["outputFile"])
                if not path.exists():
                    return Result(ended, f"no output parameter {name}")
                parameters[name] = parse(path.read_text(), definitions[name]["parameterType"])
        artifacts = {}
        for name, entry in outputs["artifacts"].items():
            (artifact,) = entry["artifacts"]
            # mergeRuntimeArtifacts
            (change,) = said.get("artifacts", {}).get(name, {}).get("artifacts", [{}])
            metadata = artifact.get("metadata", {}) | change.get("metadata", {})
            merged = artifact | {"uri": change.get("uri") or artifact["uri"], "metadata": metadata}
            path = _outside(scratch, _local(merged["uri"]))
            # "We allow components to not produce output files"
            if path.exists():
                self.store.upload(path, self.store.key(merged["uri"]))
            artifacts[name] = merged
        return Result(ended, "", parameters, artifacts)


def _local(uri: str) -> str:
    """LocalPathForURI."""
    return "/minio/" + uri.removeprefix(SCHEME)


def _outside(scratch: Path, path: str) -> Path:
    """Where a path of the pod lies."""
    return scratch / path.removeprefix("/")
