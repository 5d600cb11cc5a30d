"""A database that is away is told as such, within seconds."""

import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from components.base import DatabaseAwayError
from components.traffic import FeedbackStore
from serving.api.job_store import JobStore, new_id
from serving.database import ServiceDatabase
from serving.keys import add_key
from tests.serving.helpers import running_postgres, start_log_service

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


SAID = {"request_id": "0" * 32, "turn": 0, "emotion": "sad"}


@pytest.mark.skipif(not shutil.which("pg_config"), reason="there is no PostgreSQL here")
def test_without_its_database_the_service_says_so(tmp_path: Path) -> None:
    limited = {"authorization": f"Bearer {add_key(tmp_path / 'keys', 'web', per_minute=100)}"}
    free = {"authorization": f"Bearer {add_key(tmp_path / 'keys', 'night')}"}
    job = f"/v1/jobs/{new_id()}"
    with running_postgres() as (database, server):
        more = {
            "MOODLINE_SERVE_STORE": database,
            "MOODLINE_FEEDBACK_URL": database,
            "MOODLINE_SERVE_KEYS": str(tmp_path / "keys"),
        }
        child, url = start_log_service(tmp_path, **more)
        try:
            for key in (limited, free):
                assert httpx.get(url + job, headers=key).status_code == 404
            server.kill()
            server.wait()
            asked = [
                httpx.get(url + job, headers=limited),
                httpx.get(url + job, headers=free),
                httpx.delete(url + job, headers=free),
                httpx.delete(f"{url}/v1/recordings/call", headers=free),
                httpx.post(f"{url}/v1/jobs", headers=free, files={"audio": b"RIFF"}),
            ]
        finally:
            child.kill()
            child.wait()
        child, url = start_log_service(tmp_path, **more)  # it is away at the start, too
        try:
            asked.append(httpx.get(url + job, headers=free))
            asked.append(httpx.post(f"{url}/v1/feedback", headers=free, json=SAID))
        finally:
            child.kill()
            child.wait()
    for response in asked:
        assert response.status_code == 503, response.text
        assert response.json() == {"detail": "the database does not answer; try again in a moment"}
        assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "ask",
    [lambda url: JobStore(ServiceDatabase(url)).unfinished(), FeedbackStore.read],
    ids=["jobs", "feedback"],
)
def test_a_silent_postgresql_is_given_up_soon(ask: Callable[[str], object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hang_up = threading.Timer(15, silent.close)
        hang_up.start()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DatabaseAwayError, match="timeout expired"):
            ask(f"postgresql+psycopg2://moodline@{address}/x?sslmode=disable")
        hang_up.cancel()


def test_feedback_is_taken_once_its_database_is_there(tmp_path: Path) -> None:
    in_the_way = tmp_path / "feedback.db"
    in_the_way.mkdir()
    store = FeedbackStore(f"sqlite:///{in_the_way}")
    for _ in range(2):
        with pytest.raises(DatabaseAwayError, match="unable to open database file"):
            store.entries()
    in_the_way.rmdir()
    assert store.of_turn("r", 0) == []
    store.close()
