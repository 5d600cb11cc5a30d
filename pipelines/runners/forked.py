"""The steps of a local run as forks of a process that has imported their libraries.

A step by itself imports torch, pyannote.audio or MLflow for two to ten seconds of a core. Here a
fork server of `multiprocessing` imports them once, beside the first step that needs them; the
steps after it begin at once. Until the server is ready, and where there is none, a step is a
process of its own, as kfp starts it.
"""

import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any

from kfp.dsl.component_factory import EXECUTOR_MODULE

from components.base.step import run_step

PRELOADED = "pipelines.runners.preloaded"

SLOW = ("transcribe", "diarize", "train", "evaluate", "predict")
"""The steps that import much. The first of them has the server made, so that a run whose slow steps
are all cached needs none."""

GPUS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""What a machine with a GPU has: of NVIDIA, under WSL, of AMD."""

RunCommand = Callable[..., int]
"""kfp's `run_local_subprocess`: runs a command, prints what it prints, and returns its status."""


class ForkedSteps:
    """Runs kfp's commands for steps in forks of one process, once that is ready.

    Args:
        run_alone: how a step runs in a process of its own.
        preloaded: the module that the fork server imports.
    """

    def __init__(self, run_alone: RunCommand, preloaded: str = PRELOADED) -> None:
        self._run_alone = run_alone
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([preloaded])
        self._ready = threading.Event()
        self._prepared = False
        # Shards run side by side, and `multiprocessing` looks after all children in any thread.
        self._children = threading.Lock()

    def __enter__(self) -> "ForkedSteps":
        return self

    def __exit__(self, *_: object) -> None:
        """End the fork server, also in the middle of its imports; no step runs any more."""
        server: Any = forkserver._forkserver
        if server._forkserver_pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(server._forkserver_pid, signal.SIGKILL)
            server._stop()

    def prepare(self) -> None:
        """Have the server made, in the background; once. With a GPU there is none: a process that
        has begun to use one must not be forked."""
        if not self._prepared and not has_gpu():
            threading.Thread(target=self._make_server, daemon=True).start()
        self._prepared = True

    def _make_server(self) -> None:
        nothing = self._context.Process(target=int, daemon=True)
        with contextlib.suppress(OSError, EOFError):  # it was ended, or cannot import something
            with self._children:
                nothing.start()  # returns when everything is imported
            self._ready.set()

    def run(self, full_command: Sequence[str], env_vars: Mapping[str, str] | None = None) -> int:
        """Run a step's command; the status it ends with.

        Args:
            full_command: a shell's, its script, the component's source, and arguments for it.
            env_vars: more for its environment.
        """
        step = parse(full_command)
        if step and step[0].split("-")[0] in SLOW:
            self.prepare()
        if step is None or not self._ready.is_set():
            return self._run_alone(full_command=full_command, env_vars=env_vars)
        printed, output = self._context.Pipe(duplex=False)
        environment = {**os.environ, **(env_vars or {}), "_KFP_RUNTIME": "true"}
        child = self._context.Process(target=_run, args=(output, environment, *step))
        with self._children:
            child.start()
        output.close()
        try:
            with os.fdopen(os.dup(printed.fileno()), encoding="utf-8", errors="replace") as lines:
                printed.close()
                for line in lines:
                    print(line, end="")
            print("\n")
        finally:  # also where there is no room to print
            connection.wait([child.sentinel])
            with self._children:
                child.join()
        status = child.exitcode
        assert status is not None
        return status


def has_gpu() -> bool:
    """Whether this machine seems to have a GPU; asking torch would begin to use it."""
    return any(Path(device).exists() for device in GPUS)


def parse(command: Sequence[str]) -> tuple[str, str, list[str]] | None:
    """A step's name, its component's source and its arguments; None: the command is no step's."""
    module = "-m components.base.step "
    for part, text in enumerate(command[:-1]):
        if module in text and f" {EXECUTOR_MODULE} " in text:
            step = text.partition(module)[2].split()[0]
            return step, command[part + 1], list(command[part + 2 :])
    return None


def _run(
    output: connection.Connection,
    environment: Mapping[str, str],
    step: str,
    source: str,
    arguments: list[str],
) -> None:
    """In the fork: what kfp's script does, without a shell and a new Python."""
    multiprocessing.set_start_method(None, force=True)  # a step's own processes are as ever
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    output.close()
    os.environ.clear()
    os.environ.update(environment)
    try:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder, "ephemeral_component.py")
            program.write_text(source, encoding="utf-8")
            run_step(step, EXECUTOR_MODULE, ["--component_module_path", str(program), *arguments])
    except Exception:
        sys.excepthook(*sys.exc_info())  # which may write JSON, and masks passwords
        sys.exit(1)
    finally:  # as Python ends; `multiprocessing` does not
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
