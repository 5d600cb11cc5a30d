"""The pipelines on a cluster: no volume, no root, no network but what is named.

The tests run in order: each goes on where the one before stopped.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from components.config import Profile, Settings
from components.conversation import TURNS, read_documents
from components.register import history, list_versions
from tests.cluster.backend import Run
from tests.cluster.conftest import Cluster
from tests.components.register.stores import BUCKET

pytestmark = [pytest.mark.models, pytest.mark.servers, pytest.mark.timeout(900)]

CORPUS = f"s3://{BUCKET}/corpora/calls"
STEPS = (
    "corpus-digest", "join-feedback", "model-digests", "corpus", "transcribe", "diarize", "align",
    "label", "train",
    "champion", "fetch", "evaluate", "register", "promote", "finish",
)  # fmt: skip
UNCACHED = {
    "corpus-digest",
    "join-feedback",
    "model-digests",
    "champion",
    "register",
    "promote",
    "finish",
}


@pytest.fixture(scope="module")
def profile(cluster: Cluster, demo_corpus: Path) -> Profile:
    """The demo's, with a gate for a corpus of one dialogue of each session."""
    for session in sorted(demo_corpus.glob("Session*")):
        name = min(path.stem for path in (session / "dialog" / "wav").iterdir())
        for path in session.rglob(f"{name}.*"):
            cluster.store.upload(path, f"corpora/calls/{path.relative_to(demo_corpus)}")
    cluster.store.upload(demo_corpus / "voices.json", "corpora/calls/voices.json")
    recording = min((demo_corpus / "Session5" / "dialog" / "wav").iterdir())
    cluster.store.upload(recording, f"recordings/{recording.name}")
    demo = cluster.profile()
    # Some fifty turns teach little.
    return Profile.model_validate(demo.model_dump() | {"gate": {"min_accuracy": 0.1}})


def retrain(cluster: Cluster, profile: Profile, **arguments: Any) -> Run:
    return cluster.run("retrain", profile, corpus=CORPUS, promote_if_passed=True, **arguments)


def registry(cluster: Cluster) -> Settings:
    """The settings that lead to the cluster's registry from outside."""
    return Settings(home=cluster.folder / "outside", mlflow_uri=cluster.mlflow.url)


def mlflow_runs(cluster: Cluster) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(cluster.mlflow.url, cluster.mlflow.url)
    experiment = client.get_experiment_by_name("moodline")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def test_the_first_retraining_reaches_production(cluster: Cluster, profile: Profile) -> None:
    run = retrain(cluster, profile)
    assert not run.failed, run.log(run.failed)
    # Nothing was in production: `fetch` left an empty folder, and none arrived.
    (fetched,) = (e for e in run.executions if e.task == "fetch")
    place = fetched.artifacts["model"][0]["uri"]
    assert not list(cluster.store.keys(place.removeprefix(f"minio://{cluster.store.bucket}/")))
    (version,) = list_versions(registry(cluster))
    assert (version.number, version.verdict) == (1, "pass")
    assert "production" in version.aliases
    assert version.lineage["pipeline_run"] == run.name
    assert {r.info.status for r in mlflow_runs(cluster)} == {"FINISHED"}


def test_the_second_comes_from_the_cache(cluster: Cluster, profile: Profile) -> None:
    run = retrain(cluster, profile)
    assert not run.failed, run.log(run.failed)
    # Now that a version is in production, it is fetched; it is the very model that is judged.
    assert {t for t, s in run.states().items() if t in run.results} == UNCACHED
    assert len(list_versions(registry(cluster))) == 1
    assert {r.info.status for r in mlflow_runs(cluster)} == {"FINISHED"}


@pytest.mark.cluster
def test_another_is_measured_beside_the_champion(cluster: Cluster, profile: Profile) -> None:
    run = retrain(cluster, profile.model_copy(update={"seed": 1}))
    assert not run.failed, run.log(run.failed)
    assert {"train", "fetch", "evaluate"} <= run.results.keys()
    assert not {"transcribe", "diarize", "align", "label"} & run.results.keys()
    (fetched,) = (e for e in run.executions if e.task == "fetch")
    assert fetched.artifacts["model"][0]["metadata"]["version"] == 1
    assert {r.info.status for r in mlflow_runs(cluster)} == {"FINISHED"}


def test_a_folder_of_recordings(cluster: Cluster, profile: Profile) -> None:
    run = cluster.run("batch", profile, folder=f"s3://{BUCKET}/recordings")
    assert not run.failed, run.log(run.failed)
    (predicted,) = (e for e in run.executions if e.task == "predict")
    place = predicted.artifacts["predictions"][0]["uri"]
    target = cluster.folder / "predictions"
    cluster.store.download(place.removeprefix(f"minio://{cluster.store.bucket}/"), target)
    ((_, answer),) = read_documents(target, TURNS)
    assert json.loads(answer)


def test_a_batch_is_not_heard_by_other_speech_models_than_the_version_was_made_with(
    cluster: Cluster, profile: Profile
) -> None:
    words = profile.transcribe.model_copy(update={"language": "de"})
    other = profile.model_copy(update={"transcribe": words})
    run = cluster.run("batch", other, folder=f"s3://{BUCKET}/recordings")
    assert run.failed == "fetch"
    assert not {"transcribe", "diarize"} & run.results.keys(), "nothing was heard"
    line = run.log("fetch").splitlines()[-1]
    assert 'made with transcribe.language "en", and --profile says "de"' in line


@pytest.mark.cluster
def test_the_registry_goes_away_before_the_end(cluster: Cluster, profile: Profile) -> None:
    def stop(step: str) -> None:
        if step == "register":
            cluster.services["mlflow"].up = False

    versions, promotions = list_versions(registry(cluster)), history(registry(cluster))
    other = Profile.model_validate(profile.model_dump() | {"gate": {"min_accuracy": 0.11}})
    cluster.backend.on_step = stop
    try:
        run = retrain(cluster, other)
    finally:
        cluster.backend.on_step = lambda step: None
        cluster.services["mlflow"].up = True
    assert run.failed == "register"
    assert "MLflow at http://mlflow.moodline:5000" in run.log("register").splitlines()[-1]
    assert list_versions(registry(cluster)) == versions
    assert history(registry(cluster)) == promotions
    again = retrain(cluster, other)
    assert not again.failed, again.log(again.failed)
    assert "evaluate" not in again.results


@pytest.mark.cluster
@pytest.mark.timeout(3600)
def test_killed_at_each_step_it_goes_on(cluster: Cluster, profile: Profile) -> None:
    """The pod of each step is killed once, half a second after its start.

    A step whose work is cached is started again by Argo; one that looks at the world outside ends
    the run, and the next run goes on there.
    """
    words = profile.transcribe.model_copy(update={"batch_size": 4})
    speakers = profile.diarize.model_copy(update={"num_speakers": None})
    other = profile.model_copy(update={"seed": 3, "transcribe": words, "diarize": speakers})
    killed: list[str] = []

    def kill(step: str) -> None:
        if step not in killed:
            killed.append(step)
            cluster.backend.launcher.pods.lives = 0.5

    cluster.backend.on_step = kill
    versions = len(list_versions(registry(cluster)))
    try:
        runs = [retrain(cluster, other)]
        while runs[-1].failed and len(runs) < len(STEPS):
            assert runs[-1].failed in UNCACHED, runs[-1].log(runs[-1].failed)
            runs.append(retrain(cluster, other))
    finally:
        cluster.backend.on_step = lambda step: None
    assert not runs[-1].failed
    # Only a person promotes what is not clearly as good as the champion.
    assert set(killed) >= set(STEPS) - {"corpus", "promote"}
    assert len(list_versions(registry(cluster))) == versions + 1
    began = [task for run in runs for task in run.results]
    assert all(began.count(task) == 1 for task in ("transcribe", "train", "evaluate"))
