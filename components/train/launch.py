"""Several processes on this machine: `torchrun` runs `python -m components.train` in each."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from components.base import EVENTS, EventReader, allowed_cores
from components.config import Settings, TrainStep
from components.conversation import Progress, Recording, write_manifest
from components.train.tracking import open_run
from components.train.version import TrainResult

_POLL_SECONDS = 0.1
_TAIL_LINES = 40


def launch(
    examples: Path,
    recordings: Sequence[Recording],
    out_dir: Path,
    profile: TrainStep,
    settings: Settings,
    processes: int,
    progress: Progress,
) -> TrainResult:
    """Train in processes that `torchrun` starts, and wait for them.

    Raises:
        MoodlineError: a process said what is wrong.
        RuntimeError: a process failed otherwise; its last lines.
    """
    with tempfile.TemporaryDirectory(prefix="moodline-train-") as name:
        folder = Path(name)
        write_manifest(folder / "corpus", recordings, packed=True)
        (folder / "profile.json").write_text(profile.model_dump_json(), encoding="utf-8")
        torchrun = ("torch.distributed.run", "--standalone", "--local-addr=127.0.0.1")
        command = [
            *(sys.executable, "-m", *torchrun, f"--nproc-per-node={processes}"),
            *("-m", "components.train", "--examples", str(examples.resolve())),
            *("--corpus", str(folder / "corpus"), "--profile", str(folder / "profile.json")),
            *("--out", str(out_dir.resolve())),
        ]
        run_processes(command, _environment(settings, processes), folder, progress)
        fields = json.loads((folder / "stdout").read_text(encoding="utf-8").splitlines()[-1])
        return TrainResult(**{**fields, "model": out_dir})


def _environment(settings: Settings, processes: int) -> dict[str, str]:
    cores = max(allowed_cores() // processes, 1)
    # Processes that wait for each other by spinning would take each other's cores.
    defaults = {"OMP_NUM_THREADS": str(cores), "OMP_WAIT_POLICY": "PASSIVE"}
    return {**defaults, **os.environ, **settings.environment(), **open_run()}


def run_processes(
    command: list[str], environment: dict[str, str], folder: Path, progress: Progress
) -> None:
    """Run torchrun to its end and follow its events.

    Args:
        folder: takes what the processes print (`stdout`, `stderr`) and their events.

    Raises: as `launch`.
    """
    events = EventReader(folder / "events.jsonl")
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            command, env=environment | {EVENTS: str(events.path)}, stdout=out, stderr=err
        )
    status = None
    try:
        while status is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(_POLL_SECONDS)
            for event in events.read():
                if event.progress is not None:
                    progress(*event.progress)
                known = event.error and event.error.exception()
                if known:
                    raise known
    finally:
        # torchrun stops its processes when it is told to stop.
        process.terminate()
        process.wait()
    if status:
        lines = (folder / "stderr").read_text(encoding="utf-8", errors="replace").splitlines()
        last = "\n".join(lines[-_TAIL_LINES:])
        raise RuntimeError(f"torchrun ended with status {status}:\n{last}")
