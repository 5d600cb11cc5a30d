"""Runs one pipeline with kfp's local runner.

    python -m pipelines.runners.local_process REQUEST.json

A process of its own, because kfp replaces `print` and the root logger while it runs. What it
prints is kfp's log; what the steps left is written into `outputs.json` beside the request.

kfp's own cache is on. It finds what was done before as KFP's does on a cluster: by a step's image,
command and arguments, artifacts among them by where they lie; a result whose files are gone is
made again. Artifacts stay in the folder of the run that made them.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import dsl, local
from kfp.local.orchestrator import task_executor
from kfp.local.status import Status

from components.config import Profile
from pipelines.definitions.compiled import build_pipeline
from pipelines.runners.containers import container_arguments
from pipelines.runners.steps import Clock

OUTPUTS = "outputs.json"


def main(request: Path) -> None:
    """Run the pipeline that a request names.

    Args:
        request: JSON with `pipeline` (a name, or "module:function"), `profile` (as JSON text),
            `arguments`, `cache` (a folder) and `mounts` (folders that the steps' containers see,
            too; null where they run in processes). Outputs go beside it.
    """
    asked = json.loads(request.read_text(encoding="utf-8"))
    pipeline = build_pipeline(asked["pipeline"], Profile.model_validate_json(asked["profile"]))
    root = request.parent
    local.init(
        runner=local.SubprocessRunner(use_venv=False)
        if asked["mounts"] is None
        else local.DockerRunner(**container_arguments(asked["mounts"], root.name)),
        pipeline_root=str(root),
        raise_on_error=True,
        enable_caching=True,
        cache_root=asked["cache"],
    )
    left: dict[str, dict[str, Any]] = {}
    # kfp has no hook for this; its version is pinned.
    task_executor.execute_single_task = watched(task_executor.execute_single_task, root, left)
    pipeline(**asked["arguments"])
    (root / OUTPUTS).write_text(json.dumps(left, indent=1), encoding="utf-8")


def watched(
    run: Callable[..., tuple[dict[str, Any], Status]], root: Path, left: dict[str, dict[str, Any]]
) -> Callable[..., tuple[dict[str, Any], Status]]:
    """kfp's way to execute one task, with what is needed here added.

    Each step's begin and end are told, and what it left is noted. One that said that it succeeded
    and left less than it should has failed: kfp takes a container that was gone too quickly for a
    success. Nothing is tried again: one machine loses no nodes, and wrong input stays wrong.

    Args:
        run: kfp's.
        root: the run's folder.
        left: gets, by the step's name, its `parameters` and its `artifacts` (where they lie).
    """

    def execute(**asked: Any) -> tuple[dict[str, Any], Status]:
        asked["task_spec"].ClearField("retry_policy")
        name = asked["task_spec"].component_ref.name.removeprefix("comp-")
        place = root / asked["pipeline_resource_name"] / name
        part = re.search(r"-iteration-(\d+)$", asked["pipeline_resource_name"])
        step = f"{name}-{int(part[1]) + 1}" if part and part[1] != "0" else name
        clock = Clock(step)
        outputs, status = run(**asked)
        if status is not Status.SUCCESS:
            clock.tell("failed")
            return outputs, status
        artifacts = {k: v.path for k, v in outputs.items() if isinstance(v, dsl.Artifact)}
        reused = not place.is_dir()
        missing = [key for key, path in artifacts.items() if not Path(path).exists()]
        if missing or not (reused or (place / "executor_output.json").is_file()):
            lacks = ", ".join(missing) or "answer"
            clock.tell("failed", f"it said that it succeeded, but left no {lacks}")
            return {}, Status.FAILURE
        parameters = {k: v for k, v in outputs.items() if k not in artifacts}
        left[step] = {"parameters": parameters, "artifacts": artifacts}
        clock.tell("reused" if reused else "done")
        return outputs, status

    return execute


if __name__ == "__main__":
    main(Path(sys.argv[1]))
