"""The steps of a local run as forks of a process that has imported their libraries.

A step by itself imports torch, pyannote.audio or MLflow for two to ten seconds of a core. Here a
fork server of `multiprocessing` imports them once, beside the first steps; those that come later
begin at once. Until it has, or where it cannot, a step is a process of its own, as kfp starts it.
"""

import atexit
import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

from kfp.dsl.component_factory import EXECUTOR_MODULE

from components.base.step import run_step

PRELOADED = "pipelines.runners.preloaded"

Run = Callable[..., int]
"""kfp's `run_local_subprocess`: runs a command, prints what it prints, and returns its status."""


class ForkedSteps:
    """Runs kfp's commands for steps in forks of one process, once that is ready.

    Args:
        alone: how a step runs in a process of its own.
        imported: the module that the fork server imports.
    """

    def __init__(self, alone: Run, imported: str = PRELOADED) -> None:
        self._alone = alone
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([imported])
        self._ready = threading.Event()
        if not has_gpu():
            threading.Thread(target=self._prepare, daemon=True).start()

    def _prepare(self) -> None:
        first = self._context.Process(target=int, daemon=True)
        with contextlib.suppress(OSError, EOFError):  # it was ended, or cannot import something
            first.start()  # returns when everything is imported
            self._ready.set()

    def __enter__(self) -> "ForkedSteps":
        return self

    def __exit__(self, *_: object) -> None:
        """End the fork server, also in the middle of its imports; no step runs any more."""
        if (pid := forkserver._forkserver._forkserver_pid) is not None:  # type: ignore[attr-defined]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def run(self, full_command: Sequence[str], env_vars: Mapping[str, str] | None = None) -> int:
        """Run a step's command; the status it ends with.

        Args:
            full_command: a shell's, its script, the component's source, and arguments for it.
            env_vars: more for its environment.
        """
        step = parse(full_command) if self._ready.is_set() else None
        if step is None:
            return self._alone(full_command=full_command, env_vars=env_vars)
        printed, output = self._context.Pipe(duplex=False)
        environment = {**os.environ, **(env_vars or {}), "_KFP_RUNTIME": "true"}
        child = self._context.Process(target=_run, args=(output, environment, *step))
        child.start()
        output.close()
        with os.fdopen(os.dup(printed.fileno()), encoding="utf-8", errors="replace") as lines:
            printed.close()
            for line in lines:
                print(line, end="")
        print("\n")
        child.join()
        status = child.exitcode
        assert status is not None
        return status


def has_gpu() -> bool:
    """Whether there is an NVIDIA device: what uses one must not be forked."""
    return Path("/dev/nvidiactl").exists()


def parse(command: Sequence[str]) -> tuple[str, str, list[str]] | None:
    """The step, its component's source and its arguments, of kfp's command; None: it is another."""
    begins = "-m components.base.step "
    for part, text in enumerate(command[:-1]):
        if begins in text and f" {EXECUTOR_MODULE} " in text:
            step = text.partition(begins)[2].split()[0]
            return step, command[part + 1], list(command[part + 2 :])
    return None


def _run(
    output: Connection, environment: Mapping[str, str], step: str, source: str, given: list[str]
) -> None:
    """In the fork: what kfp's script does, without a shell and a new Python."""
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    output.close()
    os.environ.clear()
    os.environ.update(environment)
    try:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder, "ephemeral_component.py")
            program.write_text(source, encoding="utf-8")
            run_step(step, EXECUTOR_MODULE, ["--component_module_path", str(program), *given])
    finally:
        atexit._run_exitfuncs()  # `multiprocessing` does not
