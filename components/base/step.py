"""A step's process: runs a module as `python -m MODULE` does, and reports the error that ends it.

python -m components.base.step STEP MODULE ARGUMENTS …
"""

import logging
import runpy
import sys
from collections.abc import Sequence

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
        report(Event(step, "running", error=Failure.of(error)))
        raise


if __name__ == "__main__":
    run_step(sys.argv[1], sys.argv[2], sys.argv[3:])
