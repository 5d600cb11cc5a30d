"""Training curves in MLflow, if a run is open; without one, mlflow is not imported."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from components.train.version import History, TrainResult

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

CURVE = "training_loss"


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


class Curves:
    """Each epoch's losses, rates and scores, in the open MLflow run as soon as there are any.

    Every point is logged once: a resumed training adds the points that its run lacks. A server
    that is unavailable does not stop the training; it gets the points with the next epoch.

    Args:
        first: whether this is the process that logs.
    """

    def __init__(self, first: bool = True) -> None:
        self._run = open_run().get("MLFLOW_RUN_ID", "") if first else ""
        self._sent: set[int] | None = None

    def log(self, history: History) -> None:
        """Log the epochs that the run does not have."""
        if not self._run:
            return
        from mlflow.entities import Metric

        with self._client() as client:
            if self._sent is None:
                self._sent = {p.step for p in client.get_metric_history(self._run, CURVE)}
            now = round(1000 * time.time())
            for entry in history:
                step = int(entry["epoch"])
                if step not in self._sent:
                    values = sorted((k, v) for k, v in entry.items() if k != "epoch")
                    points = [Metric(name, value, now, step) for name, value in values]
                    client.log_batch(self._run, metrics=points)
                    self._sent.add(step)

    def finish(self, result: TrainResult) -> None:
        """Log which epoch was best, and the version's digest."""
        self.log(result.history)
        if self._run:
            with self._client() as client:
                client.log_metric(self._run, "best_epoch", result.best_epoch)
                client.log_param(self._run, "model_digest", result.digest)

    @contextmanager
    def _client(self) -> Iterator["MlflowClient"]:
        """Give a client; MLflow's faults in the block end it with a warning."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            yield MlflowClient()
        except MlflowException as error:
            reason = str(error).strip().splitlines()[0]
            logger.warning("MLflow: run %s has no curves for now: %s", self._run, reason)
