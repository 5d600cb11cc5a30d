"""Curves go to MLflow where a run is open, each point once, as soon as there is one."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.base import InputError, file_digest
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
    assert logged.params == {}
    assert logged.tags["model_digest"] == result.digest


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


def test_a_step_of_a_pipeline_opens_the_run_itself(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Killed and started again by another run of the pipeline it goes on in the same one."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.01")
    first = settings.model_copy(update={"pipeline_run": "p1"})
    second = settings.model_copy(update={"pipeline_run": "p2"})
    profile = make_profile(epochs=3, patience=3)

    def kill_at_the_end(done: int, total: int) -> None:
        if done == total - 1:
            raise Killed

    with pytest.raises(Killed):
        train(*corpus, tmp_path / "model", profile, first, kill_at_the_end)
    result = train(*corpus, tmp_path / "model", profile, second)
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    experiment = client.get_experiment_by_name("moodline")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    points = client.get_metric_history(run.info.run_id, "training_loss")
    assert [p.step for p in points] == [1, 2, 3]
    # Whoever registers the model goes on in it.
    assert run.info.status == "RUNNING"
    assert run.data.tags["pipeline_run"] == "p2"
    assert run.data.tags["model_digest"] == result.digest
    assert "system/cpu_utilization_percentage" in run.data.metrics
    assert run.inputs is not None
    (data,) = run.inputs.dataset_inputs
    place = corpus[1][0].audio.parent
    assert (data.dataset.name, data.dataset.source_type) == ("examples", "local")
    assert data.dataset.digest == file_digest(corpus[0])[:36]
    assert place.as_uri() in data.dataset.source


def test_mlflow_away_does_not_stop_a_training(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    away = settings.model_copy(update={"pipeline_run": "p", "mlflow_uri": "http://127.0.0.1:9"})
    with caplog.at_level(logging.WARNING, "components.train"):
        result = train(*corpus, tmp_path / "model", make_profile(epochs=1), away)
    assert result.model.is_dir()
    lines = [r.message for r in caplog.records if "has no curves for now" in r.message]
    # Once at its begin, once at its end: not with every epoch.
    assert len(lines) <= 3
    assert all("\n" not in line and "127.0.0.1:9" in line for line in lines)


def test_a_deleted_experiment_is_told_before_the_training(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    settings.home.mkdir()
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    client.delete_experiment(client.create_experiment("moodline"))
    wanted = settings.model_copy(update={"pipeline_run": "p"})
    with pytest.raises(InputError, match="has been deleted; restore it"):
        train(*corpus, tmp_path / "model", make_profile(epochs=1), wanted)
