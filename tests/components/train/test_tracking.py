"""Curves go to MLflow where a run is open."""

from pathlib import Path

from components.train import TrainResult
from components.train.tracking import log_training


def test_curves_go_to_the_active_run(tmp_path: Path) -> None:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.create_experiment("e", (tmp_path / "artifacts").as_uri())
    history = [{"epoch": n, "training_loss": 1 / n, "learning_rate": 0.1} for n in (1, 2)]
    result = TrainResult(tmp_path, "abc", history, 2, {}, {}, {})
    log_training(result)
    assert mlflow.active_run() is None
    with mlflow.start_run(experiment_id="1") as run:
        log_training(result)
        assert mlflow.active_run() is not None
    client = mlflow.MlflowClient()
    curve = client.get_metric_history(run.info.run_id, "training_loss")
    assert [(point.step, point.value) for point in curve] == [(1, 1.0), (2, 0.5)]
    logged = client.get_run(run.info.run_id).data
    assert logged.metrics["best_epoch"] == 2
    assert logged.params == {"model_digest": "abc"}
    assert len(client.search_runs(["1", "0"])) == 1
