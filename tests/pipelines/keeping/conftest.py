"""A home that was used: versions, promotions, traffic, feedback, sound, jobs, a trigger."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from components.config import Settings, load_profile
from components.conversation import SAMPLE_RATE, Turn
from components.register import Lineage, promote, register
from components.traffic import (
    Correction,
    FeedbackStore,
    LoggedRequest,
    LoggedTurn,
    LogWriter,
    TurnLog,
    audio_path,
    keep_audio,
    recording_id,
    recording_key,
)
from pipelines.trigger import Cause, Ledger, Policy, Trigger
from serving.api.job_store import JobStore, new_id
from serving.api.uploads import UploadFolder
from serving.database import ServiceDatabase
from serving.settings import ServeSettings
from tests.components.register.conftest import write_evidence, write_model

MEASURES = {"duration": 2.0, "words_per_second": 2.5, "loudness_db": -20.0, "snr_db": 30.0}


def add_version(settings: Settings, seed: int, where: Path) -> int:
    """Register a small model."""
    model = write_model(where / f"model-{seed}", seed)
    evidence = write_evidence(where / f"evidence-{seed}", model)
    lineage = Lineage(f"{seed}c0ffee", "corpus-digest", load_profile("tiny"))
    return register(model, **evidence, lineage=lineage, settings=settings)


def answer(settings: Settings, name: str) -> None:
    """Log a request with a turn, and keep its sound."""
    recording = recording_id(f"/{name}", recording_key(settings.log))
    p = {"angry": 0.1, "happy": 0.7, "neutral": 0.15, "sad": 0.05}
    turn = Turn(name, 0.0, 2.0, "A", "yes good", "happy", 0.7, p, 0.9)
    logged = LoggedTurn(turn, np.ones(4, "f4"), MEASURES, "yes good")
    now = datetime.now(UTC)
    route = "/v1/analyze"
    request = LoggedRequest(name, recording, now, route, 1, "production", True, (logged,))
    log = TurnLog(settings.log, settings.feedback_url)
    with closing(log), closing(LogWriter(log)) as writer:
        writer.write(request)
    keep_audio(audio_path(settings.log, recording, name, now), np.zeros(SAMPLE_RATE // 4, "f4"))


def fill(settings: Settings, where: Path) -> None:
    """What a home holds after a week."""
    for seed in (1, 2, 3):
        add_version(settings, seed, where)
    promote(1, settings, actor="ana", reason="the first one")
    promote(2, settings, actor="bo")
    promote(3, settings, actor="di", reason="on trial", to="staging")
    for name in ("call-1", "call-2"):
        answer(settings, name)
    with closing(FeedbackStore(settings.feedback_url)) as store:
        store.record(Correction("call-1", 0, "sad", "reviewer", "lee"))
    serve = ServeSettings()
    with closing(ServiceDatabase(serve.store_url(settings.home))) as database:
        jobs, job = JobStore(database), new_id()
        assert jobs.add_job(job, "", "call-3", {"words": True}, 10)
        uploads = UploadFolder(serve.shared_folder(settings.home))
        with (where / "upload").open("w+b") as upload:
            upload.write(b"RIFF sound")
            uploads.put(job, upload)
        assert jobs.queue(job) is not None
    with closing(Ledger(settings.trigger_url)) as ledger:
        cause = Cause("alert:ab12", "alert", "MoodlineDrift", "traffic has drifted")
        Trigger(ledger, lambda cause, number: "a run", Policy()).fire(cause)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a home that was used; the environment names it."""
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    settings = Settings()
    fill(settings, tmp_path)
    return settings
