"""The loop closes on a cluster: what people corrected joins the corpus, for training only.

The service's log is here as a cluster has it: turns and feedback in PostgreSQL, sound in the store.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.base import Url
from components.config import Profile, Settings
from components.conversation import FEEDBACK, Turn, read_audio
from components.corpus import check_corpus
from components.register import list_versions, read_outcomes
from components.traffic import (
    Correction,
    FeedbackStore,
    LoggedRequest,
    LoggedTurn,
    LogWriter,
    TurnLog,
    audio_path,
    keep_audio,
)
from pipelines.runners.request import RetrainRequest
from pipelines.trigger import Cause, Ledger, Policy, Trigger, nothing_new, request_for
from tests.cluster.backend import Run
from tests.cluster.conftest import POSTGRES, Cluster
from tests.components.register.stores import BUCKET

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

LOG = Url(BUCKET, "traffic/log")
CORPUS = f"s3://{BUCKET}/corpora/few"
PROBABILITIES = {"angry": 0.1, "happy": 0.1, "neutral": 0.7, "sad": 0.1}
MEASURES = {"duration": 2.0, "words_per_second": 2.0, "loudness_db": -20.0, "snr_db": 30.0}


class Traffic:
    """A service that answers, and people who correct it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sent = 0

    def correct(self, audio: np.ndarray, seconds: float = 2.0) -> str:
        """Log an answer about a recording, and say that its one turn is sad; the answer's id."""
        self.sent += 1
        request_id, recording = f"r{self.sent}", f"{self.sent:032x}"
        turn = Turn("call", 0.0, seconds, "A", "", "neutral", 0.7, PROBABILITIES)
        logged = (LoggedTurn(turn, np.zeros(4, "f4"), MEASURES),)
        now = datetime.now(UTC)
        with closing(TurnLog(LOG, self.url)) as log, closing(LogWriter(log)) as writer:
            writer.write(
                LoggedRequest(
                    request_id, recording, now, "/v1/analyze", 1, "production", True, logged
                )
            )
        keep_audio(audio_path(LOG, recording, request_id, now), audio)
        with closing(FeedbackStore(self.url)) as store:
            store.record(Correction(request_id, 0, "sad", "reviewer"))
        return request_id


@pytest.fixture
def outside(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store, as this process reaches it."""
    for name, value in cluster.backend.secrets["store"].items():
        monkeypatch.setenv(name, value)
    port = cluster.services["store"].server[1]  # type: ignore[index]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")


@pytest.fixture
def traffic(cluster: Cluster, outside: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    name = f"feedback-{uuid.uuid4().hex[:8]}"
    address = cluster.database(name).replace("postgresql:", "postgresql+psycopg2:")
    inside = f"postgresql+psycopg2://moodline@{POSTGRES}:5432/{name}"
    monkeypatch.setitem(
        cluster.backend.secrets,  # type: ignore[arg-type]
        "feedback",
        {"MOODLINE_FEEDBACK_URL": inside},
    )
    yield Traffic(address)
    cluster.store.delete("traffic/")


def profile(cluster: Cluster, **more: Any) -> Profile:
    known = cluster.profile().model_dump(mode="json")
    known["cluster"]["env"]["MOODLINE_LOG"] = str(LOG)
    return Profile.model_validate(known | more)


def few(cluster: Cluster, demo_corpus: Path, sessions: int = 5) -> str:
    """The demo corpus' first dialogue of some sessions, in the store; its digest."""
    for session in sorted(demo_corpus.glob("Session*"))[:sessions]:
        name = min(path.stem for path in (session / "dialog" / "wav").iterdir())
        for path in session.rglob(f"{name}.*"):
            cluster.store.upload(path, f"corpora/few/{path.relative_to(demo_corpus)}")
    return check_corpus(CORPUS).digest


def manifest(cluster: Cluster, run: Run) -> dict[str, dict[str, Any]]:
    """The rows of the corpus that a run has read, by recording; `sources.json` beside them."""
    (read,) = (e for e in run.executions if e.task == "corpus")
    key = read.artifacts["manifest"][0]["uri"].removeprefix(f"minio://{cluster.store.bucket}/")
    text = Url(BUCKET, f"{key}/manifest.jsonl").read_bytes().decode()
    return {row["recording"]: row for row in map(json.loads, text.splitlines())}


def test_feedback_joins_a_corpus_and_only_what_is_new_is_read_again(
    cluster: Cluster, traffic: Traffic, demo_corpus: Path
) -> None:
    digest = few(cluster, demo_corpus, sessions=1)
    sound = np.linspace(-0.5, 0.5, 48_000, dtype="f4")

    def join() -> Run:
        run = cluster.run(
            "tests.cluster.corpora:joining", profile(cluster), corpus=CORPUS, digest=digest
        )
        assert not run.failed, run.log(run.failed)
        return run

    none = join()
    assert "no feedback joins the corpus: there is no feedback yet" in none.log("join-feedback")
    assert len(manifest(cluster, none)) == 1
    first = traffic.correct(sound)

    def while_it_reads(step: str) -> None:
        if step == "corpus":
            traffic.correct(sound)

    # What somebody says while the run goes on waits for the next one.
    cluster.backend.on_step = while_it_reads
    try:
        rows = manifest(cluster, join())
    finally:
        cluster.backend.on_step = lambda step: None
    added = {name: row for name, row in rows.items() if row["fold"] == FEEDBACK}
    assert list(added) == [f"feedback-{first}"]
    (row,) = added.values()
    # Nothing is copied: the sound stays where it is kept, and is erased.
    assert row["audio"].startswith(f"{LOG}/audio/day=")
    key = row["audio"].removeprefix(f"s3://{BUCKET}/")
    assert len(read_audio(Url(BUCKET, key))) == len(sound)
    again = join()
    assert len(manifest(cluster, again)) == 3
    assert join().states()["corpus"] == "CACHED"


@pytest.mark.cluster
@pytest.mark.models
def test_corrections_become_a_version_and_nothing_new_starts_nothing(
    cluster: Cluster, traffic: Traffic, demo_corpus: Path, tmp_path: Path
) -> None:
    few(cluster, demo_corpus)
    cluster.store.upload(demo_corpus / "voices.json", "corpora/few/voices.json")
    known = profile(cluster, gate={"min_accuracy": 0.1})
    settings = Settings(
        home=tmp_path, mlflow_uri=cluster.mlflow.url, feedback_url=traffic.url, log_store=str(LOG)
    )
    usual = RetrainRequest(corpus=Url(BUCKET, "corpora/few"), feedback=Path("log"), promote=True)
    runs: list[Run] = []

    def start(cause: Cause, number: int) -> str:
        request = request_for(cause, number, usual)
        runs.append(cluster.run("retrain", known, **request.arguments()))
        assert not runs[-1].failed, runs[-1].log(runs[-1].failed)
        return runs[-1].name

    look = partial(nothing_new, usual=usual, profile=known, settings=settings)
    ledger = Ledger(f"sqlite:///{tmp_path}/trigger.db")
    trigger = Trigger(ledger, start, Policy(timedelta(0), 100), look)

    def drifts(number: int) -> tuple[str, str]:
        """What becomes of an alert, and why."""
        cause = Cause(f"alert:{number}", "alert", "MoodlineDrift", "It drifted")
        decision = trigger.fire(cause)
        return decision.outcome, decision.why

    assert drifts(1)[0] == "started"
    first = max(list_versions(settings), key=lambda version: version.number)
    assert "production" in first.aliases
    assert first.lineage["cause"] == "alert:1"
    outcome, why = drifts(2)
    assert (outcome, runs[-1].name in why) == ("unchanged", True)
    wav = min((demo_corpus / "Session2" / "dialog" / "wav").iterdir())
    traffic.correct(read_audio(wav)[: 16_000 * 8], seconds=8.0)
    assert drifts(2)[0] == "started"
    before, after = (manifest(cluster, run).keys() for run in runs)
    assert after - before == {"feedback-r1"}
    assert "train" in runs[-1].results
    assert len(list_versions(settings)) == first.number + 1
    assert drifts(3)[0] == "unchanged"
    assert read_outcomes(settings).ended["pass"] > 0
    ledger.close()
    # The artifacts expire; Kubeflow's cache does not know.
    cluster.store.delete("v2/artifacts/moodline-retrain/")
    gone = cluster.run("retrain", known, **usual.arguments())
    assert "is not in the object store any more" in gone.log(gone.failed).splitlines()[-1]
    anew = cluster.run("retrain", known, **replace(usual, cache_name="new").arguments())
    assert not anew.failed, anew.log(anew.failed)
    assert len(list_versions(settings)) == first.number + 1
