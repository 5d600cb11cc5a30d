"""Curves into MLflow, where a run is open; without one, mlflow is not even imported."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.train.training import TrainResult


def log_training(result: "TrainResult") -> None:
    """Log each epoch's losses, rates and scores to the active MLflow run, if there is one.

    One is active where this process opened it, or where `MLFLOW_RUN_ID` names it.
    """
    if "mlflow" not in sys.modules and "MLFLOW_RUN_ID" not in os.environ:
        return
    import mlflow

    opened = mlflow.active_run() is None
    if opened:
        if "MLFLOW_RUN_ID" not in os.environ:
            return
        mlflow.start_run()
    try:
        for entry in result.history:
            values = {name: value for name, value in entry.items() if name != "epoch"}
            mlflow.log_metrics(values, step=int(entry["epoch"]))
        mlflow.log_metric("best_epoch", result.best_epoch)
        mlflow.log_param("model_digest", result.digest)
    finally:
        if opened:
            mlflow.end_run("RUNNING")
