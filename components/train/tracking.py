"""The MLflow run of a training: opened before it begins, with curves, data and system metrics.

A step of a pipeline opens the run by itself, tagged by the pipeline's run; `register` goes on in
it, or `finish` ends it as failed. A run that is open already (`MLFLOW_RUN_ID`, as the plugin of
Kubeflow Pipelines for MLflow sets it, or `mlflow.start_run` in this process) is taken instead, and
left open.
Elsewhere there is none, and mlflow is not imported.

MLflow may go away while a model is trained: the training goes on, and a line says so.
"""

import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import Unavailable, masked
from components.config import Settings
from components.train.version import History, TrainResult

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

CURVE = "training_loss"
TRAINING = "training"
"""The tag of what was trained on what; a run that was killed is found by it."""

_AGAIN_SECONDS = 60.0
"""A server that is away is not asked again before."""


def open_run() -> dict[str, str]:
    """The open MLflow run as environment variables; empty if there is none.

    A run is open if this process opened it, or if `MLFLOW_RUN_ID` names it.
    """
    run = os.environ.get("MLFLOW_RUN_ID")
    if not run and "mlflow" not in sys.modules:
        return {}
    import mlflow

    active = mlflow.active_run()
    run = active.info.run_id if active else run
    return {"MLFLOW_RUN_ID": run, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()} if run else {}


class TrainingRun:
    """What goes to MLflow of one training. Only the first process has one that does anything.

    Every point is logged once: a resumed training adds the points that its run lacks. A server
    that is unavailable does not stop the training; it gets the points with a later epoch.

    Args:
        settings: lead to MLflow, and name the pipeline's run.
        key: of what is trained on what.
        examples: their digest.
        place: of the corpus: an URL or a path.
        first: whether this is the process that logs.
    """

    def __init__(
        self, settings: Settings, key: str, examples: str, place: str, first: bool = True
    ) -> None:
        given = open_run() if first else {}
        self.id = given.get("MLFLOW_RUN_ID", "")
        self._owns = first and not self.id and bool(settings.pipeline_run)
        self.uri = given.get("MLFLOW_TRACKING_URI", settings.mlflow_uri)
        self._settings, self._key, self._data = settings, key, (examples, place)
        self._told_data = False
        self._sent: set[int] | None = None
        self._not_before = 0.0

    def open(self) -> None:
        """Open the run, and say in it what is trained on.

        Raises:
            InputError: MLflow's address is none, or somebody has deleted the experiment.
        """
        self._try(self._begin)

    def log(self, history: History) -> None:
        """Log the epochs that the run does not have."""

        def log(client: "MlflowClient") -> None:
            from mlflow.entities import Metric

            self._begin(client)
            if self._sent is None:
                self._sent = {p.step for p in client.get_metric_history(self.id, CURVE)}
            now = round(1000 * time.time())
            for entry in history:
                step = int(entry["epoch"])
                if step not in self._sent:
                    values = sorted((k, v) for k, v in entry.items() if k != "epoch")
                    points = [Metric(name, value, now, step) for name, value in values]
                    client.log_batch(self.id, metrics=points)
                    self._sent.add(step)

        self._try(log)

    def finish(self, result: TrainResult) -> None:
        """Log which epoch was best, and the version's digest. The run stays open."""

        def finish(client: "MlflowClient") -> None:
            client.log_metric(self.id, "best_epoch", result.best_epoch)
            # A tag, as MLflow takes a parameter only once: a training may run again in this run.
            client.set_tag(self.id, "model_digest", result.digest)

        self._not_before = 0.0
        self.log(result.history)
        self._try(finish)

    def _begin(self, client: "MlflowClient") -> None:
        """As soon as MLflow is there."""
        if not self.id:
            self.id = _own_run(client, self._settings, self._key)
        if not self._told_data:
            log_examples(client, self.id, *self._data)
            self._told_data = True

    def _try(self, action: Callable[["MlflowClient"], None]) -> None:
        """Do something with MLflow, if there is a run; its faults end it with a warning.

        Where MLflow was away just now, it is not asked.
        """
        if not (self.id or self._owns) or time.monotonic() < self._not_before:
            return
        from components.tracking import faults, mlflow_client, set_mlflow_defaults

        try:
            if self._owns:
                with mlflow_client(self._settings) as client:
                    action(client)
            else:  # wherever it lies
                set_mlflow_defaults()
                from mlflow import MlflowClient

                action(MlflowClient(self.uri))
        except (Unavailable, *faults()) as error:  # type: ignore[misc]
            self._not_before = time.monotonic() + _AGAIN_SECONDS
            run = f"run {self.id}" if self.id else "this training"
            reason = masked(str(error).strip().splitlines()[0])
            logger.warning("MLflow: %s has no curves for now: %s", run, reason)


def _own_run(client: "MlflowClient", settings: Settings, key: str) -> str:
    """The run of this training that is open; a new one if there is none."""
    from components.tracking import experiment_id, with_retries

    experiment = experiment_id(client, settings)
    tags = {TRAINING: key, "pipeline_run": settings.pipeline_run}
    query = f"tags.{TRAINING} = '{key}' and attributes.status = 'RUNNING'"
    found = client.search_runs([experiment], query, max_results=1)
    if not found:
        return str(with_retries(lambda: client.create_run(experiment, tags=tags)).info.run_id)
    run = str(found[0].info.run_id)
    with_retries(lambda: client.set_tag(run, "pipeline_run", settings.pipeline_run))
    return run


def log_examples(client: "MlflowClient", run: str, digest: str, source: str) -> None:
    """Log a training's data as an input of a run: `mlflow.data`, nothing but its place and digest.

    Args:
        digest: of the examples; MLflow takes 36 characters of it.
        source: the corpus' place: an URL or a path.
    """
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag

    place = source if "://" in source else Path(source).resolve().as_uri()
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        # It knows two kinds of files that are the same.
        found = resolve_dataset_source(place)
    data = MetaDataset(found, name="examples", digest=digest[:36])  # type: ignore[abstract]
    context = InputTag("mlflow.data.context", "training")
    client.log_inputs(run, [DatasetInput(data._to_mlflow_entity(), [context])])


@contextmanager
def system_metrics(run: str, uri: str, node: str) -> Iterator[None]:
    """While the block runs, log this machine's load: processors, memory, GPUs, disk, network.

    Args:
        run: MLflow's; empty: nothing is logged.
        uri: of its server.
        node: this machine's name among several; empty: it is the only one.
    """
    if not run or os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "").lower() == "false":
        yield
        return
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    try:
        monitor = SystemMetricsMonitor(
            run, resume_logging=True, node_id=node or None, tracking_uri=uri
        )
    except Exception as error:  # of whatever reads the hardware: it is only looked at
        logger.warning("no system metrics: %s", masked(str(error)))
        yield
        return
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
