"""How a run starts for a cause: on this machine, or on Kubeflow. Neither waits for its end."""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from components.base import InputError
from components.config import Profile, Settings
from pipelines.definitions.code_version import MOODLINE, ROOT, git_commit
from pipelines.trigger.causes import Cause

PID = "pid"
"""The file in a run's folder that holds its process' number."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was started.

    Attributes:
        where: its folder here, or Kubeflow's id and address.
    """

    where: str


Start = Callable[[Cause, int], Run]
"""Starts a run for a cause, whose number in the ledger is given."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a run is started with, whatever its cause.

    Attributes:
        profile: its name or file, as `moodline retrain --profile` takes it.
        corpus: the usual one; None: the demo's.
        settings: where things lie.
        promote: into production, if its gate passes.
    """

    profile: str
    corpus: Path | None
    settings: Settings
    promote: bool = False


def start_here(place: Place, cause: Cause, number: int) -> Run:
    """`moodline retrain` in a process that outlives this one, with what people corrected so far.

    Its folder is `<runs>/trigger-<number>`: `cause.json`, `retrain.log`, `result.json` at its end,
    the run's own folder, and `pid` while it goes on.
    """
    folder = (place.settings.runs / f"trigger-{number:06d}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    feedback, note = cause.feedback, ""
    if feedback is None:
        feedback, note = _came_back(place.settings, folder / "feedback")
    command = retrain_command(place, cause, feedback, number)
    told = {"number": number, **asdict(cause), "feedback": feedback, "note": note}
    told["command"] = ["moodline", *command]
    (folder / "cause.json").write_text(json.dumps(told, indent=1, default=str), encoding="utf-8")
    environment = {**os.environ, **place.settings.environment(), "MOODLINE_RUNS": str(folder)}
    environment.pop("MOODLINE_TRIGGER_TOKEN", None)
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
    )
    with (folder / "result.json").open("wb") as out, (folder / "retrain.log").open("wb") as log:
        child = subprocess.Popen(
            [*MOODLINE, *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    (folder / PID).write_text(str(child.pid), encoding="utf-8")
    threading.Thread(target=_await_end, args=(child, folder), daemon=True).start()
    return Run(str(folder))


def _await_end(child: subprocess.Popen[bytes], folder: Path) -> None:
    """Somebody has to take note of its end, or it stays as a zombie."""
    child.wait()
    (folder / PID).unlink(missing_ok=True)


def retrain_command(place: Place, cause: Cause, feedback: Path | None, number: int) -> list[str]:
    """What `moodline` is called with."""
    command = ["retrain", "--profile", place.profile, "--json"]
    command += ["--reason", f"trigger {number}, {cause.kind} {cause.name}: {cause.reason}"]
    command += ["--cause", cause.link]
    corpus = cause.corpus or place.corpus
    command += ["--corpus", str(corpus)] if corpus else []
    command += ["--feedback", str(feedback)] if feedback else []
    return command + (["--promote"] if place.promote else [])


def start_on_kubeflow(place: Place, profile: Profile, cause: Cause, number: int) -> Run:
    """A run of the retraining pipeline on a cluster; the corpus is named as its pods see it.

    Raises:
        InputError: no corpus is named, or the cluster refuses.
    """
    from pipelines.runners.kubeflow import submit

    corpus = cause.corpus or place.corpus
    if corpus is None:
        raise InputError("name the corpus, as the cluster's pods see it: --corpus /moodline/corpus")
    arguments = {
        "corpus": str(corpus),
        "git_commit": git_commit(),
        "promote_if_passed": place.promote,
        "actor": "trigger",
        "reason": f"trigger {number}, {cause.kind} {cause.name}: {cause.reason}",
        "cause": cause.link,
    }
    done = submit(profile, arguments, place.settings)
    return Run(f"{done.id} {done.url}")


def _came_back(settings: Settings, folder: Path) -> tuple[Path | None, str]:
    """The feedback so far as a corpus; None, and why, if there is none to train on."""
    from components.traffic import FeedbackStore, export_feedback

    entries = FeedbackStore.read(settings.feedback_url)
    try:
        done = export_feedback(entries, settings.log, folder)
    except InputError as error:
        return None, str(error)
    return folder, f"{done.turns} labelled turns of {done.recordings} recordings"
