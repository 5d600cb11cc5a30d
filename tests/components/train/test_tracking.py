"""Curves go to MLflow where a run is open, each point once, as soon as there is one."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.config import Profile, Settings
from components.conversation import Recording
from components.train import train

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]


class Killed(Exception):
    """What stops a training from outside."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real MLflow on SQLite."""
    import mlflow

    home = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
    yield home
    mlflow.set_tracking_uri(before)


@pytest.fixture
def experiment(server: Path, request: pytest.FixtureRequest) -> str:
    """An experiment of the test's own."""
    import mlflow

    return mlflow.create_experiment(request.node.name, (server / "artifacts").as_uri())


def curve(run: str, name: str) -> list[tuple[int, float]]:
    """The steps and values of a metric, in the order they came."""
    import mlflow

    return [(p.step, p.value) for p in mlflow.MlflowClient().get_metric_history(run, name)]


def test_a_killed_and_resumed_training_has_whole_curves_without_doubles(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path, experiment: str
) -> None:
    import mlflow

    profile = make_profile(epochs=4, patience=4)
    with mlflow.start_run(experiment_id=experiment) as run:
        name = run.info.run_id

        def kill_in_the_third_epoch(done: int, total: int) -> None:
            if done == total - 1:
                # The curves are live: they were there before the training ended.
                assert [step for step, _ in curve(name, "training_loss")] == [1, 2, 3]
                raise Killed

        with pytest.raises(Killed):
            train(*corpus, tmp_path / "model", profile, settings, kill_in_the_third_epoch)
        result = train(*corpus, tmp_path / "model", profile, settings)
        assert mlflow.active_run() is not None
    for metric in ("training_loss", "learning_rate", "validation_macro_f1", "validation_loss"):
        expected = [(int(entry["epoch"]), entry[metric]) for entry in result.history]
        assert curve(name, metric) == expected
    logged = mlflow.MlflowClient().get_run(name).data
    assert logged.metrics["best_epoch"] == result.best_epoch
    assert logged.params == {"model_digest": result.digest}


def test_a_run_is_found_by_its_name_and_left_open(
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    run = client.create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run)
    train(*corpus, tmp_path / "model", make_profile(epochs=1), settings)
    assert [step for step, _ in curve(run, "learning_rate")] == [1]
    assert client.get_run(run).info.status == "RUNNING"
    assert len(client.search_runs([experiment, "0"])) == 1


def test_without_a_run_nothing_is_logged(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path, experiment: str
) -> None:
    import mlflow

    train(*corpus, tmp_path / "model", make_profile(epochs=1), settings)
    assert mlflow.MlflowClient().search_runs([experiment, "0"]) == []


def test_a_run_that_is_not_there_does_not_stop_the_training(
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with caplog.at_level(logging.WARNING, "components.train"):
        result = train(*corpus, tmp_path / "model", make_profile(epochs=1), settings)
    assert result.model.is_dir()
    assert "has no curves for now" in caplog.text
