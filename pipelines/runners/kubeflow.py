"""How a run starts on a cluster: through `kfp.Client`, once or by a schedule."""

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.base import InputError, Refused, file_digest
from components.config import Profile, Settings
from pipelines.definitions.compiled import compile_pipeline
from pipelines.runners.kfp_host import kfp_client
from pipelines.runners.request import RetrainRequest

if TYPE_CHECKING:
    from kfp import Client

_POLL_SECONDS = 5.0
_ENDED = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"}


@dataclass(frozen=True, slots=True)
class Submitted:
    """What KFP was given.

    Attributes:
        pipeline_version: the name of the version that runs; the same for the same pipeline.
        id: the run's, or the recurring run's.
        url: where to watch it.
        kfp_version: of the backend; "" where it does not say.
        state: KFP's word for how it ended; "" where nobody waited, or for a schedule.
    """

    pipeline_version: str
    id: str
    url: str
    kfp_version: str
    state: str = ""


def submit(
    profile: Profile, request: RetrainRequest, settings: Settings, *,
    cron: str | None = None, wait: bool = False,
) -> Submitted:  # fmt: skip
    """Upload the retraining pipeline as a new version, unless that very one is there, and start it.

    Args:
        request: its corpus is named as the pods see it.
        settings: name the host, the namespace, the experiment, and hold the token; without one
            that of the pod's service account is used.
        cron: start it by this schedule instead of now ("0 3 * * 1", or KFP's six fields). It takes
            the place of an older schedule of the same profile.
        wait: until the run has ended.

    Raises:
        InputError: no host, a host that refuses, is no Kubeflow Pipelines or too old a one, a wrong
            schedule, or nothing that signs what is registered.
        Unavailable: the host does not answer, or fails itself (500 and above).
        Refused: the run that was waited for failed.
    """
    schedule = None if cron is None else _six_fields(cron)
    _check_signing(profile)
    _check_feedback(profile, request)
    with kfp_client(settings) as (client, kfp):
        pipeline, version, name = _upload(client, profile)
        namespace = settings.kfp_namespace or profile.cluster.namespace or None
        experiment = client.create_experiment(settings.kfp_experiment, namespace=namespace)
        job = {
            "experiment_id": experiment.experiment_id,
            "job_name": f"moodline-retrain-{profile.name}",
            "pipeline_id": pipeline,
            "version_id": version,
            "params": request.arguments(),
            "pipeline_root": profile.cluster.pipeline_root or None,
            "service_account": profile.cluster.service_account or None,
        }
        site = f"{settings.kfp_host.rstrip('/')}/#"
        if schedule is not None:
            run_id = _reschedule(client, job, schedule, namespace)
            return Submitted(name, run_id, f"{site}/recurringrun/details/{run_id}", kfp)
        run_id = client.run_pipeline(**job).run_id
        url = f"{site}/runs/details/{run_id}"
        return Submitted(name, run_id, url, kfp, _await_end(client, run_id, url) if wait else "")


def _check_signing(profile: Profile) -> None:
    """Refuse a run whose last step would have no key, before hours of the others."""
    cluster, variable = profile.cluster, "MOODLINE_SIGNING_KEY"
    if cluster.volume is None and variable not in cluster.variables:
        raise InputError(
            f"profile {profile.name}: nothing signs what is registered: without a volume a key that"
            f" a step makes is lost with its pod; hand {variable} to the steps (cluster.secrets)"
        )


def _check_feedback(profile: Profile, request: RetrainRequest) -> None:
    """Refuse a run whose steps would look for feedback in an empty database of their own."""
    if request.feedback != Path("log"):
        return
    if "MOODLINE_FEEDBACK_URL" not in profile.cluster.variables:
        raise InputError(
            f"profile {profile.name}: the steps do not know the database of the feedback; hand"
            " MOODLINE_FEEDBACK_URL to them (cluster.secrets), and MOODLINE_LOG (cluster.env), the"
            " place of the kept sound"
        )


def _upload(client: "Client", profile: Profile) -> tuple[str, str, str]:
    """The pipeline's id, the version's id and name; the version is named by its content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compile_pipeline("retrain", profile, path)
        name = f"{profile.name}-{file_digest(path)[:12]}"
        pipeline = client.get_pipeline_id("moodline-retrain")
        if pipeline is None:
            description = "A labelled corpus to a gated version in the registry."
            uploaded = client.upload_pipeline(str(path), "moodline-retrain", description)
            pipeline = uploaded.pipeline_id
        known = client.list_pipeline_versions(pipeline, filter=_named(name)).pipeline_versions
        if known:
            return pipeline, known[0].pipeline_version_id, name
        version = client.upload_pipeline_version(str(path), name, pipeline_id=pipeline)
        return pipeline, version.pipeline_version_id, name


def _reschedule(client: "Client", job: dict[str, Any], cron: str, namespace: str | None) -> str:
    """Make the schedule, then remove those whose place it takes; the new one's id."""
    older = client.list_recurring_runs(
        experiment_id=job["experiment_id"], namespace=namespace, filter=_named(job["job_name"])
    ).recurring_runs
    schedule = client.create_recurring_run(cron_expression=cron, no_catchup=True, **job)
    for old in older or ():
        client.delete_recurring_run(old.recurring_run_id)
    return str(schedule.recurring_run_id)


def _named(name: str) -> str:
    """KFP's filter for what is shown under a name."""
    return json.dumps(
        {"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": name}]}
    )


def _await_end(client: "Client", run_id: str, url: str) -> str:
    """Wait for a run's end; kfp's own way to wait does not know that a run can be cancelled."""
    while (run := client.get_run(run_id)).state not in _ENDED:
        time.sleep(_POLL_SECONDS)
    if run.state != "SUCCEEDED":
        details = run.run_details.task_details if run.run_details else None
        failed = [task.display_name for task in details or () if task.state == "FAILED"]
        why = f" in {', '.join(failed)}" if failed else ""
        raise Refused(f"the run ended as {run.state}{why}; see {url}")
    return str(run.state)


def _six_fields(cron: str) -> str:
    """A schedule as KFP wants it, seconds first."""
    fields = cron.split()
    if len(fields) not in (5, 6):
        raise InputError(
            f"“{cron}” is no schedule: give minute, hour, day, month and weekday: “0 3 * * 1”"
        )
    return " ".join(fields if len(fields) == 6 else ["0", *fields])
