"""How a run starts on this machine: kfp's local runner in a process of its own, watched.

Its steps run in processes, or in containers of the images that a cluster's would run in.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.base import (
    EVENTS,
    DiskFull,
    Event,
    EventReader,
    Failure,
    MoodlineError,
    StepFailed,
    Unavailable,
    close_to_others,
    is_disk_full,
)
from components.config import ClusterSettings, Profile, Settings, is_prepared
from pipelines.definitions.code_version import child_environment
from pipelines.runners.containers import check_engine, stop_containers

OnStep = Callable[[Event], None]

_STOP_SECONDS = 10
_POLL_SECONDS = 0.05
_SPARE_BYTES = 65_536
"""With less than this a disk counts as full."""

_TAIL_LINES = 40


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """A pipeline that ran to its end.

    Attributes:
        folder: everything the run left.
        steps: each step's end, in the order in which they began.
        outputs: what each step left: its `parameters`, and where its `artifacts` lie.
    """

    folder: Path
    steps: dict[str, Event]
    outputs: dict[str, dict[str, Any]]


def run_pipeline(
    pipeline: str, profile: Profile, arguments: Mapping[str, Any], settings: Settings, *,
    mounts: Sequence[Path] | None = None, on_step: OnStep | None = None,
) -> PipelineRun:  # fmt: skip
    """Run any pipeline with kfp's local runner, in a process of its own.

    Args:
        pipeline: of `pipelines.definitions.compiled.PIPELINES`, or "module:function" of another.
        settings: the steps get them as environment variables.
        mounts: run the steps in containers that see these folders, too.
        on_step: called with each event of a step: its begin, its progress, its end.

    Raises:
        MoodlineError: of the kind that a step raised, with its text.
        DiskFull: the run goes on in that step when there is room.
        Unavailable: no Docker engine answers.
        StepFailed: a step failed otherwise, or said that it succeeded and left no output.
    """
    if mounts is not None:
        check_engine()
    folder = settings.runs / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    folder = folder.resolve()
    close_to_others(settings.home)
    folder.mkdir(parents=True)
    request, log = folder / "request.json", folder / "run.log"
    # Nothing of a cluster but the shards is meant for this machine.
    here = ClusterSettings(shards=profile.cluster.shards)
    content = {
        "pipeline": pipeline,
        "profile": profile.model_copy(update={"cluster": here}).model_dump_json(),
        "arguments": dict(arguments),
        "cache": str((settings.cache / "steps").resolve()),
        "mounts": None if mounts is None else [str(Path(path).resolve()) for path in mounts],
    }
    request.write_text(json.dumps(content, indent=1), encoding="utf-8")
    reader = EventReader(folder / "events.jsonl")
    environment = _environment(profile, settings) | {EVENTS: str(reader.path)}
    with log.open("wb") as file, _run_lock(settings, fcntl.LOCK_SH) as lock:
        child = subprocess.Popen(
            [sys.executable, "-m", "pipelines.runners.local_process", str(request)],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            pass_fds=[lock],  # it is held until the run has ended, whoever is killed before
        )
    try:
        status = None
        while status is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = child.wait(_POLL_SECONDS)
            for event in reader.read():
                if on_step is not None:
                    on_step(event)
    finally:
        _stop(child)
        if mounts is not None:
            stop_containers(folder.name)
    if status != 0 or reader.first("failed"):
        raise _error(reader, status, log)
    outputs = json.loads((folder / "outputs.json").read_text(encoding="utf-8"))
    return PipelineRun(folder=folder, steps=reader.steps, outputs=outputs)


@contextlib.contextmanager
def no_run_goes_on(settings: Settings) -> Iterator[None]:
    """While the block runs, no run begins that shares finished work with this home.

    Raises:
        Unavailable: one goes on.
    """
    try:
        with _run_lock(settings, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise Unavailable("a run goes on here; try again when it has ended") from None


@contextlib.contextmanager
def _run_lock(settings: Settings, kind: int) -> Iterator[int]:
    """Hold the lock on the finished steps: runs share it, who deletes some holds it alone."""
    settings.cache.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(settings.cache / "runs.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)


def _environment(profile: Profile, settings: Settings) -> dict[str, str]:
    """What the steps find: this Python first, this code, the settings, no chatter; and no hub,
    where no model is to come from there."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return {
        **child_environment(settings),
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "TOKENIZERS_PARALLELISM": "false",
        **(offline if models_are_prepared(profile, settings) else {}),
    }


def models_are_prepared(profile: Profile, settings: Settings) -> bool:
    """Whether every model of the profile lies on this machine; the others come from the hub."""
    return all(is_prepared(name, settings) for name in profile.models)


def _error(reader: EventReader, status: int, log: Path) -> MoodlineError:
    """Why a run failed, as an exception."""
    step = reader.first("failed") or reader.first("running") or Event("", "failed")
    text = log.read_text(encoding="utf-8", errors="replace")
    tail = step.output or tuple(text.splitlines()[-_TAIL_LINES:])
    full = step.error if step.error and step.error.kind == DiskFull.__name__ else _disk_full(log)
    if full:
        return DiskFull(
            f"step {step.step or '(none: the run itself)'}: the disk is full: {full.message}; free"
            " some space and start again: the run goes on in that step"
        )
    if status < 0 and reader.first("failed") is None:
        reason = f"the run was killed by {signal.Signals(-status).name}"
        return StepFailed(step.step, reason, tail, log)
    known = step.error and step.error.exception()
    reason = str(step.error or "") or (tail[-1].strip() if tail else "it printed nothing")
    return known or StepFailed(step.step, reason, tail, log)


def _disk_full(log: Path) -> Failure | None:
    """A full disk takes no event either, so it is looked for."""
    try:
        with tempfile.TemporaryFile(dir=log.parent) as file:
            file.write(bytes(_SPARE_BYTES))
    except OSError as error:
        return Failure.of(error) if is_disk_full(error) else None
    return None


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the run and every step of it, if they still run (an interrupt, say)."""
    if child.poll() is not None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_SECONDS)
            return
