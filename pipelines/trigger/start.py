"""How a run starts for a cause: on this machine, or on Kubeflow. Neither waits for its end."""

import fcntl
import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from components.base import InputError, MoodlineError, Url
from components.config import Profile, Settings
from components.retrainings import PID, RESULT
from pipelines.definitions.code_version import MOODLINE, child_environment, steps_code
from pipelines.runners.request import RetrainRequest
from pipelines.trigger.causes import Cause

Start = Callable[[Cause, int], str]
"""Starts a run for a cause and its number in the ledger; returns its folder, or its id and
address on Kubeflow."""


def request_for(cause: Cause, number: int, usual: RetrainRequest) -> RetrainRequest:
    """The request for a cause: the usual one, with what the cause brings in its place."""
    return replace(
        usual,
        corpus=cause.corpus or usual.corpus,
        feedback=cause.feedback or usual.feedback,
        reason=f"trigger {number}, {cause.kind} {cause.name}: {cause.reason}",
        cause=cause.link,
    )


def start_here(
    cause: Cause, number: int, *, usual: RetrainRequest, profile: str, settings: Settings
) -> str:
    """`moodline retrain` in a process that outlives this one, with what people corrected so far.

    Returns its folder, `<runs>/trigger-<number>`: `cause.json`, `retrain.log`, `result.json` at its
    end, the run's own folder, and `pid` while it goes on. The profile is a name, a file or JSON.
    """
    folder = (settings.runs / f"trigger-{number:06d}").resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # it holds what people said
    request, note = request_for(cause, number, usual), ""
    if request.feedback is None:
        feedback, note = _export_feedback(settings, folder / "feedback")
        request = replace(request, feedback=feedback)
    command = ["retrain", "--profile", profile, "--json", *request.options()]
    content = {"number": number, **asdict(cause), "feedback": request.feedback, "note": note}
    content["command"] = ["moodline", *command]
    (folder / "cause.json").write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")
    _launch(folder, settings)
    return str(folder)


def resume_here(settings: Settings) -> list[Path]:
    """Start those runs again that ended with their machine or container, not by themselves.

    Each goes on where it stopped. One that outlived the trigger before is left alone.

    Returns:
        The folders of those that were started again.
    """
    resumed = []
    for path in sorted(settings.runs.resolve().glob(f"trigger-*/{PID}")):
        result = path.parent / RESULT
        if result.is_file() and result.stat().st_size:
            path.unlink(missing_ok=True)  # nobody was there to take note of its end
        elif _launch(path.parent, settings):
            resumed.append(path.parent)
    return resumed


def _launch(folder: Path, settings: Settings) -> bool:
    """Start the command of a run's `cause.json`; False if it runs already.

    The lock on `pid` goes with the process: its number may be another's after a restart.
    """
    command = json.loads((folder / "cause.json").read_text(encoding="utf-8"))["command"][1:]
    environment = child_environment(settings) | {"MOODLINE_RUNS": str(folder)}
    environment.pop("MOODLINE_TRIGGER_TOKEN", None)
    with (folder / PID).open("a", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with (folder / RESULT).open("wb") as out, (folder / "retrain.log").open("ab") as log:
            child = subprocess.Popen(
                [*MOODLINE, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=environment,
                start_new_session=True,
                pass_fds=(held.fileno(),),
                umask=0o077,
            )
        held.truncate(0)
        held.write(str(child.pid))
    threading.Thread(target=_await_end, args=(child, folder), daemon=True).start()
    return True


def _await_end(child: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait for the process, or it stays as a zombie."""
    child.wait()
    (folder / PID).unlink(missing_ok=True)


def start_on_kubeflow(
    cause: Cause, number: int, *, usual: RetrainRequest, profile: Profile, settings: Settings
) -> str:
    """Start a run on a cluster, where its pods see the corpus; returns its id and its address.

    Raises:
        MoodlineError: the cluster refuses, or does not answer.
    """
    from pipelines.runners.kubeflow import submit

    submitted = submit(profile, request_for(cause, number, usual), settings)
    return f"{submitted.id} {submitted.url}"


class CannotTell(MoodlineError):
    """The data cannot be looked at from here, so nobody can tell whether any of it is new."""


def nothing_new(
    cause: Cause, *, usual: RetrainRequest, profile: Profile, settings: Settings
) -> str:
    """Why a run on a cluster would find nothing new; "" if it would, or if nobody can tell.

    The corpus, and an export, must lie where this process sees them, too: in an object store. What
    they and the feedback are now is held against what the last run was trained on, with this
    profile and code. No sound is read: the answer is awaited.

    Raises:
        CannotTell: this process has no way to the corpus or the feedback; the steps may have one.
        MoodlineError: MLflow does not answer.
    """
    from components.corpus import LOG, look_at_feedback, training_state
    from components.register import run_on

    request = request_for(cause, 0, usual)
    place = str(request.feedback or "")
    seen = place in ("", LOG) or isinstance(request.feedback, Url)
    if not isinstance(request.corpus, Url) or not seen:
        return ""
    try:
        looked = look_at_feedback(place, settings)
        state = training_state(request.corpus, looked.state)
    except MoodlineError as error:
        raise CannotTell(f"nobody can tell whether anything is new: {error}") from error
    run = run_on(state, profile, steps_code(profile.cluster), settings)
    if not run:
        return ""
    none = f" ({looked.why_none})" if looked.why_none else ""
    return f"neither the corpus nor the feedback has changed since the run {run}{none}"


def _export_feedback(settings: Settings, folder: Path) -> tuple[Path | None, str]:
    """The feedback so far as a corpus; None, and why, if there is none to train on."""
    from components.traffic import Copies, FeedbackStore, export_feedback

    limit = settings.feedback_contradictions
    with Copies(settings.runs, settings.cache).in_use():
        entries = FeedbackStore.read(settings.feedback_url)
        try:
            exported = export_feedback(entries, settings.log_location, folder, limit=limit)
        except InputError as error:
            return None, str(error)
    note = f"{exported.turns} labelled turns of {exported.recordings} recordings"
    if exported.held:
        note += f"; {exported.held} entries are held: moodline feedback review"
    return folder, note
