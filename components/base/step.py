"""A step's process: runs a module as `python -m MODULE` does, and reports the error that ends it.

python -m components.base.step STEP MODULE ARGUMENTS …
"""

import json
import logging
import runpy
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from components.base.ending import end_quickly
from components.base.errors import InputError
from components.base.events import Event, Failure, report
from components.base.logs import log_as_json, logs_are_json


def run_step(step: str, module: str, arguments: Sequence[str]) -> None:
    """Run a module; an exception passes through when it is reported."""
    if logs_are_json():
        log_as_json(logging.INFO)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception as error:
        gone = missing_artifacts(arguments)
        failure = InputError(expired(gone)) if gone else error
        report(Event(step, "running", error=Failure.of(failure)))
        if gone:
            raise failure from error
        raise


def missing_artifacts(arguments: Sequence[str]) -> list[str]:
    """The step's inputs that are not there, of what KFP's executor is failure (`--executor_input`).

    KFP's cache names artifacts whether or not the object store still has them.
    """
    given = dict(pairwise(arguments)).get("--executor_input", "{}")
    inputs = json.loads(given).get("inputs", {}).get("artifacts", {})
    return [
        f"{name} ({artifact['uri']})"
        for name, listed in inputs.items()
        for artifact in listed["artifacts"]
        if not _local(artifact["uri"]).exists()
        # Where nothing is in production, `fetch` leaves nothing, and does not say of which version.
        and (name != "champion" or artifact.get("metadata", {}).get("version"))
    ]


def expired(gone: Sequence[str]) -> str:
    """What to do about artifacts that are gone."""
    return (
        f"{', '.join(gone)}: is not in the object store any more; it was deleted or has expired,"
        " and Kubeflow's cache still names it; do its steps anew: moodline retrain --runner"
        " kubeflow --anew"
    )


def _local(uri: str) -> Path:
    """Where KFP's launcher puts an artifact."""
    scheme, _, rest = uri.rpartition("://")
    return Path("/", {"gs": "gcs"}.get(scheme, scheme), rest) if scheme else Path(uri)


if __name__ == "__main__":
    end_quickly()
    run_step(sys.argv[1], sys.argv[2], sys.argv[3:])
