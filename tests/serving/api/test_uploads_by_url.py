"""Copies of the service that share no folder: the uploads of jobs lie in an object store."""

import asyncio
import io
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from components.base import InputError, Unavailable
from components.config import Settings
from serving.api import uploads as module
from serving.api.job_store import JobStore
from serving.api.jobs import Jobs
from serving.api.uploads import UploadFolder
from serving.database import ServiceDatabase
from serving.engine.options import Options
from serving.settings import ServeSettings
from tests.components.base.objects import Store, object_store

pytestmark = pytest.mark.servers

SOUND = b"sound" * 2_000_000


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


class Worker:
    """Keeps what it is given; the service's runtime is no part of this."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.speech = SimpleNamespace(loaded=lambda: True)

    async def analyze(self, upload: IO[bytes], *_: Any, **__: Any) -> Any:
        self.heard.append(len(upload.read()))
        raise InputError("this worker only listens")


def copy(home: Path, url: str, database: Path) -> tuple[Jobs, JobStore, Worker]:
    """A copy with a home of its own."""
    serve = ServeSettings(folder=f"{url}/jobs", store=f"sqlite:///{database}")
    jobs, worker = JobStore(ServiceDatabase(serve.store_url(home))), Worker()
    uploads = UploadFolder(serve.shared_folder(home))
    return Jobs(jobs, uploads, worker, serve), jobs, worker  # type: ignore[arg-type]


def until_done(jobs: Jobs, store: JobStore) -> None:
    async def scene() -> None:
        jobs.start()
        end = time.monotonic() + 20
        while store.unfinished() and time.monotonic() < end:
            await asyncio.sleep(0.05)
        await jobs.stop()

    asyncio.run(scene())


def test_another_copy_does_the_job_and_the_upload_goes(store: Store, tmp_path: Path) -> None:
    first, rows, _ = copy(tmp_path / "a", store.url, tmp_path / "jobs.db")
    second, _, worker = copy(tmp_path / "b", store.url, tmp_path / "jobs.db")
    sent = io.BytesIO(SOUND)
    job = asyncio.run(first.submit(sent, Options("one"), "web"))
    assert not sent.closed, "it is the sender's"
    assert store.names("jobs/") == [f"jobs/uploads/{job.id}"]
    until_done(second, rows)
    assert worker.heard == [len(SOUND)]
    assert store.names("jobs/") == []
    assert not list(tmp_path.glob("[ab]/**/uploads/*")), "nothing lies on this machine"


def test_an_upload_goes_even_if_the_process_stops_meanwhile(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = UploadFolder.delete

    def slowly(folder: UploadFolder, job: str) -> None:
        time.sleep(0.5)
        delete(folder, job)

    monkeypatch.setattr(UploadFolder, "delete", slowly)
    jobs, rows, _ = copy(tmp_path / "a", store.url, tmp_path / "jobs.db")
    asyncio.run(jobs.submit(io.BytesIO(b"sound"), Options("one"), "web"))
    until_done(jobs, rows)
    assert store.names("jobs/") == []


def test_a_store_that_is_away_fails_no_job(store: Store, tmp_path: Path) -> None:
    jobs, rows, worker = copy(tmp_path / "a", store.url, tmp_path / "jobs.db")
    job = asyncio.run(jobs.submit(io.BytesIO(b"sound"), Options("one"), "web"))
    store.door.refuse(503, "SlowDown")
    with pytest.raises(Unavailable, match="the object store cannot now"):
        asyncio.run(jobs.submit(io.BytesIO(b"sound"), Options("two"), "web"))
    assert rows.unfinished() == {job.id}, "nothing half-registered"

    async def scene() -> None:
        jobs.start()
        await asyncio.sleep(0.5)
        await jobs.stop()

    asyncio.run(scene())
    state = rows.job(job.id, "web")
    assert state is not None and state.state == "queued"
    store.door.refusal = None
    until_done(jobs, rows)
    assert worker.heard == [5]


def test_a_job_whose_upload_was_deleted_says_so(store: Store, tmp_path: Path) -> None:
    jobs, rows, worker = copy(tmp_path / "a", store.url, tmp_path / "jobs.db")
    job = asyncio.run(jobs.submit(io.BytesIO(b"sound"), Options("one"), "web"))
    store.client.delete_object(Bucket="moodline", Key=f"jobs/uploads/{job.id}")
    until_done(jobs, rows)
    failed = rows.job(job.id, "web")
    assert failed is not None and "its upload is gone" in str(failed)
    assert not worker.heard


def test_old_uploads_of_no_job_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = UploadFolder(ServeSettings(folder=f"{store.url}/jobs").shared_folder(Path("home")))
    for job in ("wanted", "orphan"):
        folder.put(job, io.BytesIO(b"sound"))
    folder.delete_orphans({"wanted"})
    assert len(store.names("jobs/")) == 2, "it may be on its way"
    monkeypatch.setattr(module, "ORPHAN_SECONDS", -60.0)
    folder.delete_orphans({"wanted"})
    assert store.names("jobs/") == ["jobs/uploads/wanted"]


def test_no_location(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"MOODLINE_SERVE_FOLDER=.*: ftp://…: is no location"):
        ServeSettings(folder="ftp://host/jobs")
    assert ServeSettings(folder="s3://calls/jobs").store_url(tmp_path).startswith("sqlite:///")
    assert Settings(metrics="s3://calls/metrics").metrics_store == "s3://calls/metrics"
