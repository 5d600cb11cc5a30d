"""Runs one pipeline with kfp's local runner: `python -m pipelines.local REQUEST.json`.

A process of its own, because kfp replaces `print` and the root logger while it runs. What it
prints is kfp's log; what the steps left is written into `outputs.json` beside the request.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from kfp import local

OUTPUTS = "outputs.json"

_WITHOUT_FILES = {"system.Metrics", "system.ClassificationMetrics"}


def main(request: Path) -> None:
    """Run the pipeline that a request names.

    Args:
        request: JSON with `pipeline` ("module:function") and `arguments`; outputs go beside it.
    """
    asked = json.loads(request.read_text(encoding="utf-8"))
    module, function = asked["pipeline"].split(":")
    pipeline = getattr(importlib.import_module(module), function)
    root = request.parent
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(root),
        raise_on_error=True,
    )
    pipeline(**asked["arguments"])
    left = collect(pipeline.pipeline_spec, root)
    (root / OUTPUTS).write_text(json.dumps(left, indent=1), encoding="utf-8")


def collect(spec: Any, root: Path) -> dict[str, dict[str, Any]]:
    """What each step left: its parameters, and its artifacts' paths or None where one is missing.

    A file that holds only metadata (a metrics artifact's) need not exist.
    """
    (folder,) = (path for path in root.iterdir() if path.name.startswith(spec.pipeline_info.name))
    left: dict[str, dict[str, Any]] = {}
    for component, details in spec.components.items():
        name = component.removeprefix("comp-")
        place = folder / name
        if not details.executor_label or not place.is_dir():
            continue
        told = place / "executor_output.json"
        answers = json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {}
        artifacts = {
            key: str(place / key)
            if (place / key).exists() or kind.artifact_type.schema_title in _WITHOUT_FILES
            else None
            for key, kind in details.output_definitions.artifacts.items()
        }
        parameters = {
            key: answers.get("parameterValues", {}).get(key)
            for key in details.output_definitions.parameters
        }
        left[name] = {"parameters": parameters, "artifacts": artifacts}
    return left


if __name__ == "__main__":
    main(Path(sys.argv[1]))
