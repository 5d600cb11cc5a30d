"""A cause for which a run would find nothing new: no run starts, and the trigger says so."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from components.base import Unavailable, Url
from components.config import ClusterSettings, Settings, load_profile
from components.corpus import look_at_feedback, training_state
from components.register import record_end
from components.tracking import experiment_id, mlflow_client
from pipelines.definitions.code_version import steps_code
from pipelines.runners.request import RetrainRequest
from pipelines.trigger import CannotTell, Cause, Ledger, nothing_new
from tests.components.base.objects import Store, object_store
from tests.components.register.stores import BUCKET
from tests.pipelines.trigger.conftest import Listen, Starts
from tests.pipelines.trigger.test_receiver import outcomes, webhook

CORPUS = Url(BUCKET, "corpora/calls")
ALERT = Cause("alert:1", "alert", "MoodlineDrift", "It drifted")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def test_a_run_is_known_by_what_it_was_trained_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, profile = Settings(home=tmp_path), load_profile("tiny")

    def why(corpus: Url | Path = CORPUS, seed: int = profile.seed) -> str:
        return nothing_new(
            ALERT, usual=RetrainRequest(corpus=corpus, feedback=Path("log")),
            profile=profile.model_copy(update={"seed": seed}), settings=settings,
        )  # fmt: skip

    store.client.put_object(Bucket=BUCKET, Key=f"{CORPUS.key}/manifest.jsonl", Body=b"{}")
    assert why() == ""
    with mlflow_client(settings) as client:
        tags = {"trained_on": training_state(CORPUS, ""), "git_commit": "unknown"}
        tags |= {"configuration": profile.digest(), "pipeline_run": "run-7"}
        run = client.create_run(experiment_id(client, settings), tags=tags).info.run_id
        client.set_terminated(run)
    assert why() == ""  # it has not come to its end
    assert record_end("run-7", False, {}, settings, code=steps_code(profile.cluster)) == ""
    assert why() == (
        "neither the corpus nor the feedback has changed since the run run-7"
        " (there is no feedback yet)"
    )
    assert why(seed=2) == ""
    given = {"slim": f"registry.example.com/slim@sha256:{'0' * 64}"}
    changed = profile.model_copy(update={"cluster": ClusterSettings(images=given)})
    other = RetrainRequest(corpus=CORPUS, feedback=Path("log"))
    assert nothing_new(ALERT, usual=other, profile=changed, settings=settings) == ""
    assert why(tmp_path) == ""  # a folder that only the pods see
    with monkeypatch.context() as shut, pytest.raises(CannotTell, match="no credentials"):
        shut.delenv("AWS_ACCESS_KEY_ID")
        shut.delenv("AWS_SECRET_ACCESS_KEY")
        shut.setenv("AWS_EC2_METADATA_DISABLED", "true")
        shut.setenv("HOME", str(tmp_path))
        why()
    store.client.put_object(Bucket=BUCKET, Key=f"{CORPUS.key}/manifest.jsonl", Body=b"{ }")
    assert why() == ""


def test_an_export_is_known_without_a_look_into_its_files(store: Store, tmp_path: Path) -> None:
    settings, profile, export = Settings(home=tmp_path), load_profile("tiny"), "exports/w48"
    for key in (f"{CORPUS.key}/manifest.jsonl", f"{export}/manifest.jsonl", f"{export}/a.wav"):
        store.client.put_object(Bucket=BUCKET, Key=key, Body=b"of any size")

    def why(feedback: Url | Path) -> str:
        usual = RetrainRequest(corpus=CORPUS, feedback=feedback)
        return nothing_new(ALERT, usual=usual, profile=profile, settings=settings)

    place = Url(BUCKET, export)
    assert why(place) == ""
    with mlflow_client(settings) as client:
        tags = {"configuration": profile.digest(), "pipeline_run": "run-8"}
        tags["trained_on"] = training_state(CORPUS, look_at_feedback(str(place), settings).state)
        run = client.create_run(experiment_id(client, settings), tags=tags).info.run_id
        client.set_terminated(run)
    record_end("run-8", False, {}, settings, code=steps_code(profile.cluster))
    store.door.asked.clear()
    assert "has changed since the run run-8" in why(place)
    assert store.door.asked and not [line for line in store.door.asked if ".wav" in line]
    assert why(tmp_path) == ""  # a folder that only the pods see
    store.client.put_object(Bucket=BUCKET, Key=f"{export}/a.wav", Body=b"of any sort")
    assert why(place) == ""
    store.door.refuse(403, "AccessDenied")
    with pytest.raises(CannotTell, match="refuses the credentials"):
        why(place)


def test_nothing_is_started_and_it_is_said_once(
    listening: Listen, starts: Starts, entries: Callable[[], list[tuple[str, str]]]
) -> None:
    new = ["nothing"]

    def look(cause: Cause) -> str:
        if new == ["away"]:
            raise Unavailable("MLflow does not answer")
        return "it is as it was" if new == ["nothing"] else ""

    client = listening(nothing_new=look, cooldown=timedelta(hours=6), daily=1)
    for _ in range(2):
        answer = client.post("/v1/alerts", json=webhook("1"))
        assert (answer.status_code, outcomes(answer)) == (200, ["unchanged"])
    data = client.post("/v1/data", json={"corpus": ".", "id": "v1"})
    assert (data.status_code, data.json()["why"]) == (200, "it is as it was")
    assert [outcome for _, outcome in entries()] == ["unchanged", "unchanged"]
    new[:] = ["away"]
    assert client.post("/v1/alerts", json=webhook("1")).status_code == 503
    assert starts.causes == []
    new[:] = ["something"]  # neither the cool-down nor the day's budget was touched
    answer = client.post("/v1/alerts", json=webhook("1"))
    assert (answer.status_code, outcomes(answer)) == (200, ["started"])


def test_a_corpus_that_the_trigger_cannot_look_at_holds_no_run_up(
    listening: Listen,
    starts: Starts,
    entries: Callable[[], list[tuple[str, str]]],
    ledger_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def look(cause: Cause) -> str:
        raise CannotTell("nobody can tell whether anything is new: there are no credentials")

    client = listening(nothing_new=look)
    answer = client.post("/v1/alerts", json=webhook("1"))
    assert (answer.status_code, outcomes(answer)) == (200, ["started"])
    assert [outcome for _, outcome in entries()] == ["starting", "started"]
    assert len(starts.causes) == 1
    ledger = Ledger(ledger_url)
    assert all("nobody can tell" in entry.why for entry in ledger.entries())
    ledger.close()
    assert "there are no credentials" in caplog.text
    assert outcomes(client.post("/v1/alerts", json=webhook("1"))) == ["known"]
