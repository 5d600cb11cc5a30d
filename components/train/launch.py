"""Several processes on this machine: `torchrun` runs `python -m components.train` in each."""

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from components.base import InputError
from components.config import Settings, TrainStep
from components.conversation import Recording, write_manifest
from components.train.tracking import open_run

logger = logging.getLogger(__name__)

FAULT = "moodline: "
"""How the line begins that says what is wrong with the input."""


def launch(
    examples: Path,
    recordings: Sequence[Recording],
    out_dir: Path,
    profile: TrainStep,
    settings: Settings,
    processes: int,
    told: Callable[[int, int], None],
) -> dict[str, object]:
    """Train in processes that `torchrun` starts, and wait for them.

    Args:
        told: called with the steps done and their total.

    Returns:
        The `TrainResult`'s fields.

    Raises:
        InputError: what a process found wrong with the input.
        RuntimeError: a process failed otherwise; its last lines.
    """
    with tempfile.TemporaryDirectory(prefix="moodline-train-") as folder:
        place = Path(folder)
        write_manifest(place / "corpus", recordings)
        (place / "profile.json").write_text(profile.model_dump_json(), encoding="utf-8")
        torchrun = ("torch.distributed.run", "--standalone", "--local-addr=127.0.0.1")
        command = [
            *(sys.executable, "-m", *torchrun, f"--nproc-per-node={processes}"),
            *("-m", "components.train", "--examples", str(examples.resolve())),
            *("--corpus", str(place / "corpus"), "--profile", str(place / "profile.json")),
            *("--out", str(out_dir.resolve())),
        ]
        with (place / "result").open("w+", encoding="utf-8") as result:
            run_processes(command, _environment(settings, processes), result.fileno(), told)
            result.seek(0)
            return json.loads(result.read().splitlines()[-1])


def _environment(settings: Settings, processes: int) -> dict[str, str]:
    cores = max((os.cpu_count() or 1) // processes, 1)
    # Processes that wait for each other by spinning would take each other's cores.
    defaults = {"OMP_NUM_THREADS": str(cores), "OMP_WAIT_POLICY": "PASSIVE"}
    return {**defaults, **os.environ, **settings.environment(), **open_run()}


def run_processes(
    command: list[str], environment: dict[str, str], output: int, told: Callable[[int, int], None]
) -> None:
    """Run torchrun to its end, reading progress and faults from its standard error.

    Args:
        output: the file descriptor of its standard output.

    Raises:
        InputError: a process said what is wrong with the input.
        RuntimeError: it failed otherwise.
    """
    last: deque[str] = deque(maxlen=40)
    faults = []
    with subprocess.Popen(
        command, env=environment, stdout=output, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                step = re.fullmatch(r"(\d+) of (\d+)\n", line)
                if step:
                    told(int(step[1]), int(step[2]))
                    continue
                last.append(line)
                if line.startswith(FAULT):
                    faults.append(line.removeprefix(FAULT).strip())
        except BaseException:
            # torchrun stops its processes when it is told to stop.
            process.terminate()
            raise
    if faults:
        raise InputError(faults[0])
    if process.returncode:
        raise RuntimeError(f"torchrun ended with status {process.returncode}:\n{''.join(last)}")
