"""What fills the threads of one endpoint keeps no other waiting."""

import ast
import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from components.config import Settings
from components.traffic import FeedbackStore
from serving import threads
from serving.api.alignment import MAX_WAITING
from serving.api.app import create_app
from serving.api.job_store import JobStore, new_id
from serving.api.jobs import Jobs, UploadFolder
from serving.database import ServiceDatabase
from serving.engine.runtime import Runtime
from serving.keys import Keys, add_key
from serving.settings import ServeSettings
from serving.threads import Threads

ROOT = Path(__file__).resolve().parents[3]

WORDS = {"segments": [{"start": 0, "end": 1, "text": "hello"}]}
SPEAKERS = [{"start": 0, "end": 1, "speaker": "A"}]
ALIGN = {"words": WORDS, "speakers": SPEAKERS}
POOLS = {name: pool for name, pool in vars(threads).items() if isinstance(pool, Threads)}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    """All but the models: real stores, a key with a limit."""
    serve = ServeSettings()
    app = create_app(10_000_000, 2)
    app.state.database = database = ServiceDatabase(f"sqlite:///{tmp_path}/store.db")
    app.state.runtime = Runtime(Settings(home=tmp_path), serve)  # not started: no models
    app.state.feedback = FeedbackStore(f"sqlite:///{tmp_path}/feedback.db")
    uploads = UploadFolder(tmp_path)
    app.state.jobs = Jobs(JobStore(database), uploads, None, serve)  # type: ignore[arg-type]
    app.state.runtime = SimpleNamespace(log=None)
    app.state.key = add_key(tmp_path / "keys", "web", 1_000_000)
    app.state.keys = Keys(tmp_path / "keys")
    yield app
    app.state.feedback.close()
    database.close()


def client(app: FastAPI) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {app.state.key}"}
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


ASKED: dict[str, tuple[str, str, dict[str, Any], int, set[str]]] = {
    "align": ("POST", "/v1/align", {"json": ALIGN}, 200, {"ALIGNMENT"}),
    "job": ("GET", f"/v1/jobs/{new_id()}", {}, 404, {"STORE"}),
    "delete": ("DELETE", f"/v1/jobs/{new_id()}", {}, 404, {"STORE"}),
    "feedback": (
        "POST",
        "/v1/feedback",
        {"json": {"request_id": "x", "turn": 0, "emotion": "sad"}},
        404,
        {"FEEDBACK"},
    ),
}


@contextmanager
def busy(pool: Threads) -> Iterator[None]:
    """All threads of a pool are at work until the block ends, and many more wait."""
    go, begun = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        begun.release()
        go.wait(60)

    for _ in range(50):
        pool._pool.submit(work)
    for _ in range(pool.count):
        assert begun.acquire(timeout=10)
    try:
        yield
    finally:
        go.set()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", sorted(POOLS.keys() - {"KEYS"}))
def test_a_pool_that_is_busy_stops_nothing_else(app: FastAPI, name: str) -> None:
    async def scene() -> None:
        async with client(app) as asking:
            for method, path, body, status, pools in ASKED.values():
                if name not in pools:
                    answer = await asking.request(method, path, **body)
                    assert answer.status_code == status, answer.text

    with busy(POOLS[name]):
        asyncio.run(scene())


@pytest.mark.timeout(60)
def test_alignment_has_a_deadline_and_few_wait_for_it(app: FastAPI) -> None:
    async def align(seconds: str) -> int:
        headers = {"x-deadline-seconds": seconds}
        async with client(app) as asking:
            return (await asking.post("/v1/align", json=ALIGN, headers=headers)).status_code

    async def scene() -> None:
        with busy(threads.ALIGNMENT):
            crowd = [asyncio.create_task(align("60")) for _ in range(MAX_WAITING + 4)]
            done, waiting = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
            while len(done) < 3:
                more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                done |= more
            assert {task.result() for task in done} == {429}
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
        assert await align("60") == 200, "those who went made room"
        with busy(threads.ALIGNMENT):
            assert await align("0.05") == 504

    asyncio.run(scene())


def test_nothing_uses_the_one_pool_for_everything() -> None:
    for path in [*(ROOT / "serving/api").glob("*.py"), *(ROOT / "serving/engine").glob("*.py")]:
        names = {
            n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)
        }
        assert "to_thread" not in names, f"{path.name}: take a pool of serving.threads"
