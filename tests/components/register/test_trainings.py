"""A training's run in MLflow is the one of its version; no run stays open."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.base import tree_digest
from components.config import Settings
from components.register import Lineage, record_refusal, register, show
from components.register.runs import record_end
from components.train import TrainResult
from components.train.tracking import TrainingRun
from tests.components.register.conftest import Evidence, Make

HISTORY = [
    {"epoch": 1, "training_loss": 1.0, "validation_macro_f1": 0.4},
    {"epoch": 2, "training_loss": 0.5, "validation_macro_f1": 0.6},
]


def trained(model: Path, settings: Settings, pipeline_run: str, end: bool = True) -> str:
    """What a training leaves in MLflow; its run's id."""
    own = settings.model_copy(update={"pipeline_run": pipeline_run})
    run = TrainingRun(own, f"key-of-{model.name}", "0a" * 32, "s3://calls/may")
    run.open()
    run.log(HISTORY[:1])
    if end:
        digest = tree_digest(model)
        run.finish(TrainResult(model, digest, HISTORY, 2, {"macro_f1": 0.6}, {}, {}))
    return run.id


def mlflow_runs(settings: Settings) -> dict[str, Any]:
    from mlflow import MlflowClient

    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    experiment = client.get_experiment_by_name("moodline")
    assert experiment is not None
    return {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}


def test_a_version_has_the_curves_of_its_training(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_model: Make, make_evidence: Evidence
) -> None:
    model = make_model(tmp_path / "model")
    evidence = make_evidence(tmp_path / "papers", model)
    first, second = (replace(lineage, pipeline_run=name) for name in ("p1", "p2"))
    training = trained(model, settings, "p1")
    version = show(register(model, **evidence, lineage=first, settings=settings), settings)
    assert version.run_id == training
    (run,) = mlflow_runs(settings).values()
    assert run.info.status == "FINISHED"
    assert (run.data.metrics["training_loss"], run.data.metrics["accuracy"]) == (0.5, 0.75)
    assert run.data.params["train.epochs"] == str(lineage.profile.train.epochs)
    assert run.data.tags["verdict"] == "pass"
    (data,) = run.inputs.dataset_inputs
    assert "s3://calls/may" in data.dataset.source

    # Trained again to the same end: the version stays, and no run is left open.
    again = trained(model, settings, "p2")
    assert register(model, **evidence, lineage=second, settings=settings) == version.number
    runs = mlflow_runs(settings)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs[training].data.tags["pipeline_run"] == "p2"
    assert runs[again].data.tags["registered_in"] == training
    assert record_end("p2", False, {}, settings) == ""


def test_a_training_that_runs_again_in_its_run_gives_it_the_later_model(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_model: Make, make_evidence: Evidence
) -> None:
    """A step that is started again after its training ended: another model, the same open run."""
    lost = make_model(tmp_path / "lost" / "model", seed=1)
    model = make_model(tmp_path / "kept" / "model", seed=2)
    training = trained(lost, settings, "p1")
    assert trained(model, settings, "p1") == training
    left = trained(make_model(tmp_path / "left", seed=3), settings, "p1")
    evidence = make_evidence(tmp_path / "papers", model)
    own = replace(lineage, pipeline_run="p1")
    version = show(register(model, **evidence, lineage=own, settings=settings), settings)
    assert version.run_id == training
    # What is left open is ended with the pipeline's run; no later training goes on in it.
    assert record_end("p1", False, {}, settings) == ""
    statuses = {key: run.info.status for key, run in mlflow_runs(settings).items()}
    assert statuses == {training: "FINISHED", left: "KILLED"}


def test_a_model_out_of_the_cache_names_its_training(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_model: Make, make_evidence: Evidence
) -> None:
    model = make_model(tmp_path / "model")
    training = trained(model, settings, "p1")
    refused = make_evidence(tmp_path / "refused", model, "fail")
    kept = record_refusal(**refused, lineage=replace(lineage, pipeline_run="p1"), settings=settings)
    assert kept == training
    # Judged anew by another run, which has not trained it.
    evidence = make_evidence(tmp_path / "papers", model)
    later = replace(lineage, pipeline_run="p2")
    version = show(register(model, **evidence, lineage=later, settings=settings), settings)
    runs = mlflow_runs(settings)
    assert version.run_id != training
    assert runs[version.run_id].data.tags["training_run"] == training
    (data,) = runs[version.run_id].inputs.dataset_inputs
    assert data.dataset == runs[training].inputs.dataset_inputs[0].dataset
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


@pytest.mark.parametrize("end", [True, False])
def test_a_run_that_failed_ends_its_training(
    end: bool, tmp_path: Path, settings: Settings, make_model: Make
) -> None:
    training = trained(make_model(tmp_path / "model"), settings, "p1", end)
    other = trained(make_model(tmp_path / "other"), settings, "p2", end)
    failure = record_end("p1", False, {"pipeline_run": "p1"}, settings)
    runs = mlflow_runs(settings)
    assert runs.keys() == {training, other}
    assert runs[training].info.status == "FAILED"
    assert runs[training].data.tags["failure"] == failure
    assert runs[other].info.status == "RUNNING"
