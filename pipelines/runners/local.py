"""How a run starts on this machine: kfp's local runner in a process of its own, watched.

Its steps run in processes, or in containers of the images that a cluster's would run in.
"""

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.base import InputError
from components.config import ClusterSettings, Profile, Settings
from components.register import Refused, read_verdict
from pipelines.definitions.code_version import ROOT, git_commit
from pipelines.runners.containers import check_engine, stop_containers
from pipelines.runners.steps import LogReader, Step, StepFailed, last_words

OnStep = Callable[[Step], None]

_STOP_SECONDS = 10
# What the kernel and SQLite say of a full disk, in whatever exception.
_FULL = ("No space left on device", "database or disk is full")


@dataclass(frozen=True, slots=True)
class RunResult:
    """A retraining that ran to its end.

    Attributes:
        folder: everything the run left.
        decision: the gate's: "pass", "fail" or "inconclusive".
        reasons: a line for each check that did not pass.
        version: what was registered; None if the gate said "fail".
        promoted: whether that version went into production.
        outputs: paths of `model`, `metrics`, `report`, `verdict`, `predictions`, `turns`,
            `examples`, `corpus`; of a step that was done before, where it left them then.
        seconds: how long each step took, in the order in which they ran.
        reused: the steps that were done before, and not again.
    """

    folder: Path
    decision: str
    reasons: tuple[str, ...]
    version: int | None
    promoted: bool
    outputs: dict[str, Path]
    seconds: dict[str, float]
    reused: tuple[str, ...]


_OUTPUTS = {
    "corpus": ("corpus", "manifest"),
    "turns": ("align", "turns"),
    "examples": ("label", "examples"),
    "model": ("train", "model"),
    "metrics": ("evaluate", "metrics"),
    "report": ("evaluate", "report"),
    "verdict": ("evaluate", "verdict"),
    "predictions": ("evaluate", "predictions"),
}


def run_local(
    profile: Profile,
    corpus: Path,
    settings: Settings,
    *,
    in_containers: bool = False,
    promote: bool = False,
    actor: str = "pipeline",
    reason: str = "",
    cause: str = "",
    on_step: OnStep | None = None,
) -> RunResult:
    """Retrain on this machine. What was done before is not done again.

    See `pipelines.definitions.retrain`.

    Args:
        profile: what to run.
        corpus: the corpus' folder.
        settings: where things lie; the steps get them as environment variables.
        in_containers: each step in a container, of the images that `make images` builds.
        promote: put the version into production if its verdict is "pass".
        actor: who is named for that.
        reason: why.
        cause: what started it, where nobody did.
        on_step: called when a step begins and when it ends.

    Raises:
        InputError: a step said that the input is wrong; its words.
        Refused: the version passed, but somebody else promoted another one meanwhile.
        StepFailed: a step failed otherwise.
    """
    arguments = {
        "corpus": str(Path(corpus).resolve()),
        "git_commit": git_commit(),
        "promote_if_passed": promote,
        "actor": actor,
        "reason": reason,
        "cause": cause,
    }
    folder, reader, left = run_pipeline(
        "retrain",
        profile,
        arguments,
        settings,
        mounts=(Path(corpus),) if in_containers else None,
        on_step=on_step,
    )
    outputs = {name: Path(left[step]["artifacts"][key]) for name, (step, key) in _OUTPUTS.items()}
    verdict = read_verdict(outputs["verdict"])
    registered = left.get("register")
    refused = verdict.decision == "fail"
    if {registered is None, "record-refusal" in left} != {refused}:
        # kfp's local runner skips a branch whose condition it cannot work out, without a word.
        raise StepFailed("", "the gate's branches do not fit its verdict", (), folder / "run.log")
    return RunResult(
        folder=folder,
        decision=verdict.decision,
        reasons=verdict.reasons,
        version=None if registered is None else int(registered["parameters"]["Output"]),
        promoted="promote" in left,
        outputs=outputs,
        seconds={step.name: step.seconds for step in reader.steps.values()},
        reused=tuple(step.name for step in reader.steps.values() if step.state == "reused"),
    )


def run_pipeline(
    pipeline: str,
    profile: Profile,
    arguments: Mapping[str, Any],
    settings: Settings,
    *,
    mounts: Sequence[Path] | None = None,
    on_step: OnStep | None = None,
) -> tuple[Path, LogReader, dict[str, dict[str, Any]]]:
    """Run any pipeline with kfp's local runner, in a process of its own.

    Args:
        pipeline: of `pipelines.definitions.compiled.PIPELINES`, or "module:function" of another.
        profile: what it is built for.
        arguments: of the pipeline.
        settings: the steps get them as environment variables.
        mounts: run the steps in containers that see these folders, too.
        on_step: called when a step begins and when it ends.

    Returns:
        The run's folder, its steps, and what each of them left (see
        `pipelines.runners.local_process.watched`).

    Raises:
        InputError, Refused: a step said so; its words. The disk is full, or there is no Docker.
        StepFailed: a step failed otherwise, or said that it succeeded and left no output.
    """
    if mounts is not None:
        check_engine()
    folder = settings.runs / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    folder = folder.resolve()
    folder.mkdir(parents=True)
    request, log = folder / "request.json", folder / "run.log"
    asked = {
        "pipeline": pipeline,
        # Nothing of a cluster but the shards is meant for this machine.
        "profile": profile.model_copy(
            update={"cluster": ClusterSettings(shards=profile.cluster.shards)}
        ).model_dump_json(),
        "arguments": dict(arguments),
        "cache": str((settings.cache / "steps").resolve()),
        "mounts": None if mounts is None else [str(Path(path).resolve()) for path in mounts],
    }
    request.write_text(json.dumps(asked, indent=1), encoding="utf-8")
    reader = LogReader()
    child = subprocess.Popen(
        [sys.executable, "-m", "pipelines.runners.local_process", str(request)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        env=_environment(settings) | _offline(profile, settings),
        start_new_session=True,
    )
    try:
        with log.open("w", encoding="utf-8") as file:
            for line in child.stdout or ():
                file.write(line)
                file.flush()
                step = reader.read(line)
                if step is not None and on_step is not None:
                    on_step(step)
        status = child.wait()
    except OSError as error:
        # The step that filled the disk left no room for the log of its end either.
        if error.errno != errno.ENOSPC:
            raise
        raise _full(_running(reader), str(error)) from None
    finally:
        _stop(child)
        if mounts is not None:
            stop_containers(folder.name)
    failed = reader.failed()
    if failed is not None or status != 0:
        raise _fault(failed, status, reader, log)
    left = json.loads((folder / "outputs.json").read_text(encoding="utf-8"))
    return folder, reader, left


def _environment(settings: Settings) -> dict[str, str]:
    """What the steps find: this Python first, this code, the settings, and no chatter."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    code = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {
        **os.environ,
        **settings.environment(),
        "PATH": path,
        "PYTHONPATH": code,
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "PYANNOTE_METRICS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _offline(profile: Profile, settings: Settings) -> dict[str, str]:
    """Keep the steps off the hub where every model of the profile is prepared."""
    names = (
        profile.transcribe.model,
        profile.diarize.pipeline,
        profile.fusion.acoustic,
        profile.fusion.text,
    )
    prepared = all((settings.models / name).is_dir() or Path(name).is_dir() for name in names)
    return {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if prepared else {}


def _fault(failed: Step | None, status: int, reader: LogReader, log: Path) -> Exception:
    """A run that failed, as the exception that it stands for."""
    if failed is None and status < 0:
        name = _running(reader)
        says = f"the run was killed by {signal.Signals(-status).name}"
        return StepFailed(name, says, tuple(reader.tail(name)), log)
    name = failed.name if failed else ""
    tail = tuple(reader.tail(name))
    says = (failed.says if failed else "") or last_words(tail)
    if any(sign in line for line in (says, *tail) for sign in _FULL):
        return _full(name, says)
    told = re.match(r"^[\w.]*\b(InputError|RegistryError|Refused): (.+)$", says)
    if told is None:
        return StepFailed(name, says, tail, log)
    return Refused(told[2]) if told[1] == "Refused" else InputError(told[2])


def _full(name: str, says: str) -> InputError:
    return InputError(
        f"step {name or '(none: the run itself)'}: the disk is full: {says}; free some space"
        " and start again: the run goes on in that step"
    )


def _running(reader: LogReader) -> str:
    """The step that runs; empty for none."""
    return next((s.name for s in reader.steps.values() if s.state == "running"), "")


def _stop(child: subprocess.Popen[str]) -> None:
    """End the run and every step of it, if they still run (an interrupt, say)."""
    if child.poll() is not None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_SECONDS)
            return
