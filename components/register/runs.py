"""Runs in MLflow: the parameters, numbers and evidence of a training, with or without a version."""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.base import InputError, masked
from components.config import Settings
from components.register.evidence import (
    LONGEST_TAG,
    Lineage,
    evidence_key,
    flat,
    numbers,
    read_metrics,
)
from components.register.ledger import PRODUCTION, read_ledger
from components.register.trainings import (
    end_training,
    name_training,
    open_training,
    open_trainings,
)
from components.register.words import clipped
from components.scoring import FAIL, PASS, read_verdict
from components.tracking import MODEL, experiment_id, faults, mlflow_client, with_retries

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ENDED = "pipeline_ended"
"""The tag that says when a pipeline's run that had come to this evidence ended last, in seconds
since 1970. The next three are of that run, too: the evidence's other tags are of the first one, or
of one that goes on or has failed."""

ENDED_RUN = "ended_run"
"""The run's id in Kubeflow Pipelines."""

ENDED_ON = "ended_on"
"""What it was trained on, as `Lineage.trained_on`."""

ENDED_CODE = "ended_code"
"""The code that its steps were."""

ENGINES_OF = "engines_of"
"""The tag of a version's run that says which pipeline's run made its engines last."""

_BATCH = 100
"""MLflow takes no more parameters than this in one request."""

logger = logging.getLogger(__name__)


def record_refusal(
    metrics: Path, report: Path, verdict: Path, lineage: Lineage, settings: Settings
) -> str:
    """Keep the evidence of a model that the gate refused: a run as of `register`, no version.

    What was kept before is not kept twice; it says then which pipeline's run came to it last.

    Returns:
        MLflow's id of the run.

    Raises:
        InputError: a file is missing or not what it should be.
        Unavailable: MLflow failed.
    """
    tags = lineage.tags() | {"verdict": read_verdict(verdict).decision}
    tags["evidence"] = evidence_key(metrics, verdict, lineage)
    with evidence_folder(metrics, report, verdict) as evidence, mlflow_client(settings) as client:
        finished = _runs_of(client, settings, tags["evidence"], "FINISHED")
        if finished:
            model = str(read_metrics(metrics).get("model"))
            note_pipeline_run(client, finished[0], lineage, model)
            return finished[0]
        with evidence_run(client, settings, evidence, lineage, tags) as run_id:
            return run_id


def note_pipeline_run(client: "MlflowClient", run_id: str, lineage: Lineage, model: str) -> None:
    """Of evidence that is there already: which pipeline's run came to it last, from what.

    Args:
        model: its digest; a training of it that is open is ended.
    """
    experiment = client.get_run(run_id).info.experiment_id
    end_training(client, experiment, lineage.pipeline_run, model, run_id)
    tags = lineage.tags()
    for name in ("trained_on", "pipeline_run"):
        if text := tags.get(name):
            with_retries(partial(client.set_tag, run_id, name, text))


def record_end(
    pipeline_run: str,
    promotion: bool,
    tags: Mapping[str, str],
    settings: Settings,
    *,
    code: str = "",
    engines: bool = False,
) -> str:
    """Note that a pipeline's run has ended: when, or, if it failed, as `record_failure` does.

    Whether it failed is told from what it left. Kubeflow Pipelines' own word for it is no help: a
    run whose last task was skipped or cached is RUNNING for ever, and so is one whose pod was
    killed for its memory.

    Args:
        promotion: whether a version that passed was to be promoted.
        tags: of the trace of a run that failed.
        code: names the code that the run's steps were.
        engines: whether engines were to be made, of a version that nobody refused.

    Returns:
        Why it failed; "" if it came to its end.

    Raises:
        Unavailable: MLflow failed.
    """
    with mlflow_client(settings) as client:
        experiment = experiment_id(client, settings)
        query = f"tags.pipeline_run = '{pipeline_run}' and attributes.status = 'FINISHED'"
        finished = client.search_runs([experiment], query)
        failure = "a step failed before the gate's verdict was kept"
        if finished and engines and _lacks_engines(finished[0], pipeline_run):
            failure = "the version's engines were not made"
        elif finished:
            failure = _promotion_failure(client, finished[0]) if promotion else ""
        if not failure:
            _note_end(client, finished[0], pipeline_run, code)
            # No model of theirs was judged, and no later training is to go on in them.
            for left in open_trainings(client, experiment, pipeline_run):
                with_retries(partial(client.set_terminated, left, "KILLED"))
            return ""
    record_failure(failure, tags, settings)
    return failure


def note_engines(version: int, pipeline_run: str, settings: Settings) -> None:
    """Note that a pipeline's run has made a version's engines; `record_end` looks for it.

    Raises:
        Unavailable: MLflow failed.
    """
    with mlflow_client(settings) as client:
        run_id = client.get_model_version(MODEL, str(version)).run_id
        if run_id:
            with_retries(lambda: client.set_tag(run_id, ENGINES_OF, pipeline_run))


def _lacks_engines(run: "Run", pipeline_run: str) -> bool:
    tags = run.data.tags
    return tags.get("verdict") != FAIL and tags.get(ENGINES_OF) != pipeline_run


def _note_end(client: "MlflowClient", run: "Run", pipeline_run: str, code: str) -> None:
    """Evidence that was there before has an end of its own."""
    from mlflow.entities import RunTag

    trained_on = run.data.tags.get("trained_on", "")
    ended = {ENDED: f"{time.time():.3f}", ENDED_RUN: pipeline_run}
    ended |= {ENDED_ON: trained_on, ENDED_CODE: code}
    tags = [RunTag(name, text) for name, text in ended.items()]
    with_retries(lambda: client.log_batch(run.info.run_id, tags=tags))


def _promotion_failure(client: "MlflowClient", run: "Run") -> str:
    """Why a version is not promoted that was to be; "" if it is, or its verdict was none for it."""
    if run.data.tags.get("verdict") != PASS:
        return ""
    made = client.search_model_versions(f"name='{MODEL}' and run_id='{run.info.run_id}'")
    promoted = {e.to_version for e in read_ledger(client) if e.won and e.stage == PRODUCTION}
    if any(int(version.version) in promoted for version in made):
        return ""
    return "the version passed, and its promotion failed"


def record_failure(message: str, tags: Mapping[str, str], settings: Settings) -> str:
    """Keep a trace of a pipeline's run that failed: an MLflow run with status FAILED.

    It is the one that its training has opened, or a new one.

    Returns:
        MLflow's id of the run.

    Raises:
        Unavailable: MLflow failed.
    """
    with mlflow_client(settings) as client:
        tags = {**tags, "failure": clipped(message, LONGEST_TAG)}
        experiment = experiment_id(client, settings)
        opened = open_trainings(client, experiment, tags.get("pipeline_run", ""))
        if not opened:
            new = partial(client.create_run, experiment, tags=tags)
            opened = [with_retries(new).info.run_id]
        for run_id in opened:
            for key, value in tags.items():
                with_retries(partial(client.set_tag, run_id, key, value))
            with_retries(partial(client.set_terminated, run_id, "FAILED"))
        return opened[0]


@contextmanager
def evidence_folder(metrics: Path, report: Path, verdict: Path) -> Iterator[Path]:
    """The three files under their own names (a pipeline calls its files as it likes).

    Yields:
        A temporary folder with `metrics.json`, `report.html` and `verdict.json`.

    Raises:
        InputError: one of them is missing.
    """
    with tempfile.TemporaryDirectory(prefix="moodline-evidence-") as name:
        folder = Path(name) / "evidence"
        folder.mkdir()
        sources = {"metrics.json": metrics, "report.html": report, "verdict.json": verdict}
        for file, source in sources.items():
            if not source.is_file():
                raise InputError(f"{source}: is missing; a version needs its {file}")
            shutil.copyfile(source, folder / file)
        yield folder


@contextmanager
def evidence_run(
    client: "MlflowClient",
    settings: Settings,
    evidence: Path,
    lineage: Lineage,
    tags: Mapping[str, Any],
) -> Iterator[str]:
    """An MLflow run with the evidence, the parameters and the numbers in it.

    It is the run in which this pipeline's run has trained the model, or a new one. Runs of the same
    evidence that a killed process left are marked as killed.

    Yields:
        Its id. If the block fails, the run is marked as failed, and deleted if it has no curves.
    """
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.utils.time import get_current_time_millis

    scores = numbers(read_metrics(evidence / "metrics.json"))
    experiment = experiment_id(client, settings)
    for killed in _runs_of(client, settings, tags["evidence"], "RUNNING"):
        best_effort(partial(client.set_terminated, killed, "KILLED"), f"end run {killed}")
    model = str(read_metrics(evidence / "metrics.json").get("model"))
    trained = open_training(client, experiment, lineage.pipeline_run, model)
    new = partial(client.create_run, experiment, tags=dict(tags))
    run_id = trained or with_retries(new).info.run_id
    try:
        if trained:
            client.log_batch(run_id, tags=[RunTag(key, str(v)) for key, v in tags.items()])
        else:
            name_training(client, experiment, run_id, model)
        now = get_current_time_millis()
        params = [Param(key, str(v)) for key, v in flat(lineage.profile.model_dump(mode="json"))]
        points = [Metric(key, value, now, 0) for key, value in scores.items()]
        for start in range(0, max(len(params), len(points)), _BATCH):
            batch = slice(start, start + _BATCH)
            client.log_batch(run_id, metrics=points[batch], params=params[batch])
        client.log_artifacts(run_id, str(evidence))
        yield run_id
    except BaseException:
        best_effort(lambda: client.set_terminated(run_id, "FAILED"), f"end run {run_id}")
        if not trained:
            best_effort(lambda: client.delete_run(run_id), f"delete run {run_id}")
        raise
    # A version that exists by now is not undone because its run still says "running".
    best_effort(lambda: client.set_terminated(run_id), f"end run {run_id}")


def best_effort(action: Callable[[], Any], name: str) -> None:
    """Do something whose failure must not hide what went before; a failure is logged."""
    try:
        with_retries(action)
    except faults() as error:
        logger.warning("could not %s: %s", name, masked(str(error)))


def _runs_of(client: "MlflowClient", settings: Settings, evidence: str, status: str) -> list[str]:
    """The ids of the runs with some evidence and status."""
    query = f"tags.evidence = '{evidence}' and attributes.status = '{status}'"
    return [run.info.run_id for run in client.search_runs([experiment_id(client, settings)], query)]
