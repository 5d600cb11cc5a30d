"""Runs one pipeline with kfp's local runner.

    python -m pipelines.runners.local_process REQUEST.json

A process of its own, because kfp replaces `print` and the root logger while it runs. What it
prints is kfp's log; what the steps left is written into `outputs.json` beside the request.

kfp's own cache is on. Like KFP's on a cluster, it finds a finished step by its image, command and
arguments; artifacts among the arguments count by their path. A result whose files are gone is made
again. Artifacts stay in the folder of the run that made them.
"""

import contextlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import dsl, local
from kfp.dsl.component_factory import EXECUTOR_MODULE
from kfp.local import subprocess_task_handler
from kfp.local.orchestrator import task_executor
from kfp.local.status import Status

from components.base import Event, Failure, report
from components.base.events import State
from components.config import Profile
from pipelines.definitions.compiled import PIPELINES, build_pipeline
from pipelines.definitions.placement import PIPELINE_RUN
from pipelines.runners.containers import container_arguments
from pipelines.runners.forked import ForkedSteps

OUTPUTS = "outputs.json"
LOG = "run.log"
"""The file beside the request that this process' standard output goes to."""

_KFP_LOG = re.compile(r"\d\d:\d\d:\d\d\.\d+ - ")
_MAX_LINES = 400


def main(request: Path) -> None:
    """Run the pipeline that a request names; `run_pipeline` writes it. Outputs go beside it."""
    run = json.loads(request.read_text(encoding="utf-8"))
    pipeline = build_pipeline(run["pipeline"], Profile.model_validate_json(run["profile"]))
    root = request.parent
    local.init(
        runner=local.SubprocessRunner(use_venv=False)
        if run["mounts"] is None
        else local.DockerRunner(**container_arguments(run["mounts"], root.name)),
        pipeline_root=str(root),
        raise_on_error=True,
        enable_caching=True,
        cache_root=run["cache"],
    )
    results: dict[str, dict[str, Any]] = {}
    # kfp has no hook for this; its version is pinned.
    task_executor.execute_single_task = watched(task_executor.execute_single_task, root, results)
    with contextlib.ExitStack() as stack:
        if run["mounts"] is None and run["pipeline"] in PIPELINES:  # others may be small
            alone = subprocess_task_handler.run_local_subprocess
            steps = stack.enter_context(ForkedSteps(alone))
            subprocess_task_handler.run_local_subprocess = steps.run  # no hook, either
        pipeline(**run["arguments"])
    (root / OUTPUTS).write_text(json.dumps(results, indent=1), encoding="utf-8")


def watched(
    run: Callable[..., tuple[dict[str, Any], Status]],
    root: Path,
    results: dict[str, dict[str, Any]],
) -> Callable[..., tuple[dict[str, Any], Status]]:
    """Wrap kfp's way to `run` one task: report its begin and end, and note its outputs.

    `results` gets, by the step's name, its `parameters` and its `artifacts` (where they lie). A
    step that said that it succeeded and wrote less than it should has failed: kfp takes a container
    that was gone too quickly for a success. Nothing is tried again: one machine loses no nodes, and
    wrong input stays wrong.
    """
    log = root / LOG

    def execute(**task: Any) -> tuple[dict[str, Any], Status]:
        task["task_spec"].ClearField("retry_policy")
        # In the environment of this process, not in the task's, which kfp's cache goes by.
        os.environ[PIPELINE_RUN] = task["unique_pipeline_id"]
        name = task["task_spec"].component_ref.name.removeprefix("comp-")
        folder = root / task["pipeline_resource_name"] / name
        part = re.search(r"-iteration-(\d+)$", task["pipeline_resource_name"])
        step = f"{name}-{int(part[1]) + 1}" if part and part[1] != "0" else name
        label = task["components"][f"comp-{name}"].executor_label
        task["executors"] = {label: _reporting(task["executors"][label], step)}
        began, offset = time.monotonic(), log.stat().st_size

        def end(state: State, message: str = "") -> None:
            error = Failure("", message) if message else None
            output = _printed(log, offset) if state == "failed" else ()
            seconds = time.monotonic() - began
            report(Event(step, state, seconds=seconds, error=error, output=output))

        report(Event(step, "running"))
        outputs, status = run(**task)
        if status is not Status.SUCCESS:
            end("failed")
            return outputs, status
        artifacts = {k: v.path for k, v in outputs.items() if isinstance(v, dsl.Artifact)}
        reused = not folder.is_dir()
        missing = [key for key, path in artifacts.items() if not Path(path).exists()]
        if missing or not (reused or (folder / "executor_output.json").is_file()):
            lost = ", ".join(missing) or "answer"
            end("failed", f"it said that it succeeded, but left no {lost}")
            return {}, Status.FAILURE
        parameters = {k: v for k, v in outputs.items() if k not in artifacts}
        results[step] = {"parameters": parameters, "artifacts": artifacts}
        end("reused" if reused else "done")
        return outputs, status

    return execute


def _reporting(executor: Any, step: str) -> Any:
    """A step's executor that reports the error that ends it under the name of its shard.

    Its environment is this process': what the pipeline says of it is meant for a cluster's pods.
    """
    changed = type(executor)()
    changed.CopyFrom(executor)
    changed.container.ClearField("env")
    for i, part in enumerate(executor.container.command):
        begins = rf"-m (components\.base\.step \S+ )?{re.escape(EXECUTOR_MODULE)}"
        named = f"-m components.base.step {step} {EXECUTOR_MODULE}"
        changed.container.command[i] = re.sub(begins, named, part)
    return changed


def _printed(log: Path, offset: int) -> tuple[str, ...]:
    """The last lines of the log since an offset, but for kfp's own, which begin with the time.

    Two shards that run at the same time have each other's among them.
    """
    lines = log.read_bytes()[offset:].decode(errors="replace").splitlines()
    return tuple(line for line in lines if line.strip() and not _KFP_LOG.match(line))[-_MAX_LINES:]


def _end_with_parent() -> None:
    """Kill this run and its steps when whoever started it is gone: standard input ends then."""
    pipe = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def wait() -> None:
        os.read(pipe, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    main(Path(sys.argv[1]))
