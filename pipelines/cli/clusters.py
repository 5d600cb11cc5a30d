"""What the commands say to a cluster: start a run there."""

from dataclasses import asdict

from components.config import Profile, Settings
from pipelines.cli.console import out, print_json, spinner
from pipelines.runners.request import RetrainRequest


def retrain_on_kubeflow(
    profile: Profile,
    request: RetrainRequest,
    settings: Settings,
    *,
    cron: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Start the retraining pipeline on a cluster, and say where it can be watched.

    Raises:
        InputError: the cluster refuses.
        Unavailable: it does not answer.
        Refused: the run that was waited for failed.
    """
    from pipelines.runners.kubeflow import submit

    with spinner(f"speaking to {settings.kfp_host}"):
        run = submit(profile, request, settings, cron=cron, wait=wait)
    if as_json:
        return print_json(asdict(run))
    kind = "Schedule" if cron else "Run"
    out.print(f"{kind} {run.id} of pipeline version {run.pipeline_version}: {run.url}")
    if run.state:
        out.print(f"It ended: {run.state}. What became of it: moodline registry list")
    return None
