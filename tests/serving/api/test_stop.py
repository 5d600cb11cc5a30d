"""The service stops: requests under way are finished, a job is given back for another copy."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from components.config import Settings, load_profile
from components.conversation import read_audio
from serving.api.job_store import JobStore
from serving.database import ServiceDatabase
from serving.lineup import Served
from serving.settings import ServeSettings
from serving.supervisor.serve import Serving
from tests.serving.helpers import metric, wait_until, wav, worker

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(300)]

REPEATS = 4
"""Of half a minute: so much takes longer than what a server is usually given to stop."""


@pytest.fixture
def copy(models: dict[int, Path], models_home: Path, tmp_path: Path) -> Iterator[Serving]:
    settings = Settings(home=tmp_path, models=models_home, triton_env=Settings().triton_env)
    model = Served(3, models[3])
    running = Serving(settings, load_profile("tiny"), port=0, model=model, serve=ServeSettings())
    running.start()
    yield running
    running.abort_requests()
    running.stop()


@pytest.fixture(scope="module")
def long(sample_dir: Path) -> bytes:
    return wav(np.tile(read_audio(sample_dir / "sample.wav"), REPEATS))


def analyze(copy: Serving, recording: bytes) -> httpx.Response:
    files = {"audio": ("a.wav", recording)}
    return httpx.post(f"{copy.url}/v1/analyze", files=files, timeout=250)


def begin(copy: Serving, recording: bytes, pool: ThreadPoolExecutor) -> "Future[httpx.Response]":
    """Send a request, and wait until it is under way."""
    before = metric(copy.url, "moodline_waiting")
    answer = pool.submit(analyze, copy, recording)
    assert wait_until(lambda: metric(copy.url, "moodline_waiting") > before, 60)
    return answer


def test_requests_are_finished_and_the_job_is_given_back(copy: Serving, long: bytes) -> None:
    files = {"audio": ("a.wav", long)}
    job = httpx.post(f"{copy.url}/v1/jobs", files=files, timeout=60).json()["id"]
    store = JobStore(ServiceDatabase(ServeSettings().store_url(copy.settings.home)))

    def state() -> str:
        found = store.job(job, "")
        assert found
        return found.state

    assert wait_until(lambda: metric(copy.url, "moodline_waiting") == 1, 60)
    assert state() == "running"
    with ThreadPoolExecutor() as pool:
        answer = begin(copy, long, pool)  # it waits until the job is done
        stopping = pool.submit(copy.stop)
        assert wait_until(lambda: state() == "queued", 60)
        assert not stopping.done()
        assert answer.result().status_code == 200
        assert answer.result().json()["turns"]
        stopping.result()
    assert state() == "queued"


def test_whoever_is_in_a_hurry_waits_for_nobody(copy: Serving, long: bytes) -> None:
    process = worker(copy)
    with ThreadPoolExecutor() as pool:
        answer = begin(copy, long, pool)
        stopping = threading.Thread(target=copy.stop)
        stopping.start()
        time.sleep(1)
        assert stopping.is_alive()
        copy.abort_requests()
        stopping.join(15)
        assert not stopping.is_alive()
        assert wait_until(lambda: not process.is_running(), 5)
        assert isinstance(answer.exception(), httpx.TransportError)
