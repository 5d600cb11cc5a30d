"""Jobs and their uploads: room is asked for first, and an upload stays while somebody needs it."""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from components.base import DatabaseAwayError, Stopped
from components.conversation import DEFAULT_LABELS
from serving.api.job_store import JobStore
from serving.api.jobs import Jobs, UploadFolder
from serving.database import ServiceDatabase
from serving.engine.analysis import Analysis
from serving.engine.options import Options
from serving.engine.runtime import Result
from serving.errors import BusyError, ErasedError, NotReadyError
from serving.settings import ServeSettings
from tests.serving.helpers import wait_until

Analyze = Callable[..., Awaitable[Result]]


class Worker:
    """What does the work, as a test wants it done."""

    def __init__(self, analyze: Analyze | None = None) -> None:
        self.speech = self
        if analyze:
            self.analyze = analyze

    def loaded(self) -> bool:
        return True


class Watched(io.BytesIO):
    """An upload that knows whether it was read."""

    read_from = False

    def read(self, *arguments: Any) -> bytes:
        self.read_from = True
        return super().read(*arguments)


def make_jobs(folder: Path, worker: Worker, **serve: Any) -> tuple[Jobs, JobStore]:
    store = JobStore(ServiceDatabase(f"sqlite:///{folder}/store.db"))
    return Jobs(store, UploadFolder(folder), worker, ServeSettings(**serve)), store  # type: ignore[arg-type]


def uploads(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "uploads").glob("*"))


def test_without_room_the_upload_is_not_even_copied(tmp_path: Path) -> None:
    jobs, _ = make_jobs(tmp_path, Worker(), jobs_waiting=1)
    first = asyncio.run(jobs.submit(io.BytesIO(b"sound"), Options("one"), "web"))
    second = Watched(b"sound")
    with pytest.raises(BusyError, match="too many jobs are waiting"):
        asyncio.run(jobs.submit(second, Options("two"), "web"))
    assert not second.read_from
    assert uploads(tmp_path) == [first.id]


def test_an_upload_without_a_job_is_not_kept(tmp_path: Path) -> None:
    jobs, store = make_jobs(tmp_path, Worker())
    with store._database.begin() as connection:  # reading goes on, writing does not
        connection.execute(text("CREATE TRIGGER no BEFORE INSERT ON moodline_jobs "
                                "BEGIN SELECT RAISE(ABORT, 'no'); END"))  # fmt: skip
    with pytest.raises(DatabaseAwayError):
        asyncio.run(jobs.submit(io.BytesIO(b"sound"), Options("one"), "web"))
    assert uploads(tmp_path) == []


class Erasing(io.BytesIO):
    """An upload whose recording is erased while it is copied."""

    def __init__(self, store: JobStore, erased: list[str]) -> None:
        super().__init__(b"sound")
        self.store, self.erased = store, erased

    def read(self, *arguments: Any) -> bytes:
        self.erased += self.store.erase("web", "one")
        return super().read(*arguments)


def test_an_erasure_reaches_a_job_whose_upload_is_being_stored(tmp_path: Path) -> None:
    jobs, store = make_jobs(tmp_path, Worker())
    erased: list[str] = []
    with pytest.raises(ErasedError, match="erased while it was being sent"):
        asyncio.run(jobs.submit(Erasing(store, erased), Options("one"), "web"))
    assert len(erased) == 1
    assert store.claim("me", 60) is None
    assert uploads(tmp_path) == []


def test_a_sender_who_hangs_up_leaves_no_job(tmp_path: Path) -> None:
    jobs, store = make_jobs(tmp_path, Worker())

    async def scene() -> None:
        submitting = asyncio.create_task(jobs.submit(Hanging(), Options("one"), "web"))
        while not uploads(tmp_path):
            await asyncio.sleep(0.01)
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting

    class Hanging(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            time.sleep(0.1)
            return b""

    asyncio.run(scene())
    assert store.unfinished() == set()
    assert uploads(tmp_path) == []


def test_a_job_that_is_erased_before_it_is_begun_is_not_begun(tmp_path: Path) -> None:
    """An erasure between the claim and the mark in the log: by another process."""
    answers: list[bool] = []

    async def analyze(*_: Any, is_wanted: Callable[[], Awaitable[bool]], **__: Any) -> Result:
        answers.append(await is_wanted())
        store.erase("web", "one")
        answers.append(await is_wanted())
        raise Stopped("as the runtime does")

    jobs, store = make_jobs(tmp_path, Worker(analyze))

    async def scene() -> None:
        jobs.start()
        await jobs.submit(io.BytesIO(b"sound"), Options("one"), "web")
        assert await asyncio.to_thread(wait_until, lambda: len(answers) == 2, 10)
        await jobs.stop()

    asyncio.run(scene())
    assert answers == [True, False]


def test_how_long_a_job_waits_is_shown(tmp_path: Path) -> None:
    """Here until the models are loaded."""

    class Loading(Worker):
        def loaded(self) -> bool:
            return False

    def shown() -> float:
        return REGISTRY.get_sample_value("moodline_oldest_job_seconds") or 0.0

    jobs, store = make_jobs(tmp_path, Loading())

    async def scene() -> None:
        await jobs.submit(io.BytesIO(b"sound"), Options("one"), "web")
        with store._database.begin() as connection:
            connection.execute(text("UPDATE moodline_jobs SET created = created - 5000"))
        jobs.start()
        assert await asyncio.to_thread(wait_until, lambda: 5000 <= shown() < 5060, 10)
        await jobs.stop()

    asyncio.run(scene())


@pytest.mark.parametrize("fails", [False, True])
def test_who_lost_a_job_leaves_its_upload_to_the_next(tmp_path: Path, fails: bool) -> None:
    ended = []

    async def analyze(*_: Any, **__: Any) -> Result:
        time.sleep(0.1)  # no sign of life meanwhile: the lease runs out
        taken = store.claim("another", 60)
        assert taken
        ended.append(taken.id)
        if fails:
            raise ValueError("something of its own")
        return Result(3, Analysis(1.0, (), ()), DEFAULT_LABELS)

    jobs, store = make_jobs(tmp_path, Worker(analyze), job_lease=0.05)

    async def scene() -> str:
        jobs.start()
        job = await jobs.submit(io.BytesIO(b"sound"), Options("one"), "web")
        assert await asyncio.to_thread(wait_until, lambda: bool(ended) and not jobs._under_way, 10)
        await jobs.stop()
        return job.id

    job = asyncio.run(scene())
    assert ended == [job]
    assert uploads(tmp_path) == [job]
    found = store.job(job, "web")
    assert found and found.state == "running", "the other one is at it"


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (None, ("done", None)),
        (NotReadyError("the model does not answer"), ("failed", "the model does not answer")),
    ],
    ids=["done", "waited in vain"],
)
def test_a_job_that_has_ended_needs_no_upload(
    tmp_path: Path, fault: Exception | None, end: tuple[str, str | None]
) -> None:
    async def analyze(*_: Any, **__: Any) -> Result:
        if fault:
            raise fault
        return Result(3, Analysis(1.0, (), ()), DEFAULT_LABELS)

    jobs, store = make_jobs(tmp_path, Worker(analyze))

    async def scene() -> str:
        jobs.start()
        job = await jobs.submit(io.BytesIO(b"sound"), Options("one"), "web")
        assert await asyncio.to_thread(wait_until, lambda: uploads(tmp_path) == [], 10)
        await jobs.stop()
        return job.id

    found = store.job(asyncio.run(scene()), "web")
    assert found and (found.state, found.reason) == end


@pytest.mark.parametrize("name", ["a\0b", "", "x" * 32, "A1" * 16, "a1" * 16 + "\n"])
def test_what_is_no_jobs_name_is_no_job(name: str) -> None:
    async def scene() -> None:
        # Without a store: no database is asked.
        jobs = Jobs(None, None, None, ServeSettings())  # type: ignore[arg-type]
        assert await jobs.find(name, "") is None
        assert not await jobs.delete(name, "")

    asyncio.run(scene())
