"""What the commands say to a cluster: start a run there."""

import getpass
from pathlib import Path

from components.base import InputError
from components.config import Profile, Settings
from pipelines.cli.console import out, print_json, spinner


def retrain_on_kubeflow(
    profile: Profile,
    corpus: Path | None,
    settings: Settings,
    *,
    promote: bool,
    reason: str,
    cause: str,
    cron: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Start the retraining pipeline on a cluster, and say where it can be watched.

    Raises:
        InputError: no corpus is named, or the cluster refuses.
        Refused: the run that was waited for failed.
    """
    if corpus is None:
        raise InputError("name the corpus, as the cluster's pods see it: --corpus /moodline/corpus")
    from pipelines.definitions.code_version import git_commit
    from pipelines.runners.kubeflow import submit

    arguments = {
        "corpus": str(corpus),
        "git_commit": git_commit(),
        "promote_if_passed": promote,
        "actor": getpass.getuser(),
        "reason": reason,
        "cause": cause,
    }
    with spinner(f"speaking to {settings.kfp_host}"):
        done = submit(profile, arguments, settings, cron=cron, wait=wait)
    if as_json:
        return print_json(
            {
                "pipeline_version": done.pipeline_version,
                "id": done.id,
                "url": done.url,
                "state": done.state,
            }
        )
    kind = "Schedule" if cron else "Run"
    out.print(f"{kind} {done.id} of pipeline version {done.pipeline_version}: {done.url}")
    if done.state:
        out.print(f"It ended: {done.state}. What became of it: moodline registry list")
    return None
