"""Two copies of the service on one store: what holds when one of them is killed."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from components.config import Settings, load_profile
from components.fusion import load_tokenizer
from serving.keys import add_key
from serving.lineup import Served
from serving.settings import ServeSettings
from serving.supervisor.serve import Serving
from tests.serving.collector import Collector, Span
from tests.serving.helpers import LEASE, SHORT, metric, wait_until, wav, worker

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(400)]

SOON = 15.0
"""Seconds in which a killed worker is to be back; on a machine so busy that it needed longer to
start in the first place, as long as that."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A file of keys; one without a limit, and one that may ask three times a minute."""
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    return path, add_key(path, "web"), add_key(path, "few", 3)


@pytest.fixture(scope="module")
def clock() -> dict[str, float]:
    """How long the other copy took to start."""
    return {}


@pytest.fixture(scope="module")
def other(
    clock: dict[str, float],
    service: Serving,
    models: dict[int, Path],
    models_home: Path,
    keys: tuple[Path, str, str],
    collector: Collector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Serving]:
    """Another copy: it shares the first one's Triton and store, wants keys and sends traces."""
    assert service.triton
    settings = Settings(
        home=tmp_path_factory.mktemp("other"),
        models=models_home,
        triton_url=service.triton.grpc_url,
        model_repository=service.settings.model_repository,
    )
    serve = ServeSettings(
        short_seconds=SHORT,
        job_lease=LEASE,
        folder=str(service.settings.home / "serving" / "store"),
        keys=str(keys[0]),
    )
    running = Serving(
        settings, load_profile("tiny"), port=0, model=Served(3, models[3]), serve=serve
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        began = time.monotonic()
        running.start()
        clock["start"] = time.monotonic() - began
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def web(other: Serving, keys: tuple[Path, str, str]) -> Iterator[httpx.Client]:
    """A client of the other copy, with a key."""
    headers = {"authorization": f"Bearer {keys[1]}"}
    with httpx.Client(base_url=other.url, headers=headers, timeout=60) as client:
        yield client


def clip(seed: int = 5) -> tuple[np.ndarray, dict[str, Any]]:
    sound = (np.random.default_rng(seed).normal(size=16_000) * 0.2).astype("f4")
    return sound, {"files": {"audio": ("a.wav", wav(sound))}, "data": {"text": "hello"}}


def test_only_keys_are_let_in_and_each_as_often_as_it_may(
    other: Serving, web: httpx.Client, keys: tuple[Path, str, str]
) -> None:
    assert web.get("/v1/model").status_code == 200
    for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {keys[1]}"}):
        refused = httpx.get(f"{other.url}/v1/model", headers=header)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "API key" in refused.json()["detail"]
    upload = httpx.post(f"{other.url}/v1/analyze", content=bytes(3_000_000))
    assert upload.status_code == 401, "before anything is read of it"
    for path in ("/", "/docs", "/openapi.json", "/healthz", "/metrics"):
        assert httpx.get(f"{other.url}{path}").status_code == 200
    few = {"authorization": f"Bearer {keys[2]}"}
    answers = [httpx.get(f"{other.url}/v1/model", headers=few) for _ in range(7)]
    # Three in a minute, and up to three in the next one if it begins meanwhile.
    assert 3 <= [one.status_code for one in answers].count(200) <= 6
    assert 0 < int(next(a for a in answers if a.status_code == 429).headers["retry-after"]) <= 60


def test_jobs_belong_to_their_key(service: Serving, web: httpx.Client, piece: bytes) -> None:
    job = web.post("/v1/jobs", files={"audio": ("mine.wav", piece)}).headers["location"]
    assert web.get(job).status_code == 200
    assert httpx.get(f"{service.url}{job}").status_code == 404, "another's, or nobody's"
    assert httpx.delete(f"{service.url}{job}").status_code == 404
    assert web.delete("/v1/recordings/mine").json()["jobs"] == 1


def test_a_trace_goes_through_the_service_into_tritons_call(
    web: httpx.Client, collector: Collector, piece: bytes
) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    sent = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    files = {"audio": ("a.wav", piece)}
    assert web.post("/v1/analyze", files=files, headers=sent).status_code == 200
    stages = {"decode", "transcribe", "diarize", "align", "classify", "triton.infer"}
    wanted = {"POST /v1/analyze", *stages}
    assert wait_until(lambda: wanted <= {span.name for span in collector.spans(trace_id)}, 60)
    by_id = {span.id: span for span in collector.spans(trace_id)}
    spans = {span.name: span for span in by_id.values()}
    roots = [span for span in by_id.values() if span.parent == "b7ad6b7169203331"]
    assert [root.name for root in roots] == ["POST /v1/analyze"], "one span for the request"

    def above(span: Span) -> set[str]:
        parent = by_id.get(span.parent)
        return {parent.name} | above(parent) if parent else {span.parent}

    assert all("b7ad6b7169203331" in above(spans[name]) for name in wanted), "the sender's span"
    assert all("POST /v1/analyze" in above(spans[stage]) for stage in stages)
    assert "classify" in above(spans["triton.infer"])
    assert spans["POST /v1/analyze"].service == "moodline"


def test_a_killed_worker_is_back_and_its_job_is_done(
    service: Serving,
    other: Serving,
    web: httpx.Client,
    models: dict[int, Path],
    alone: Callable[..., tuple[np.ndarray, np.ndarray]],
    sample: bytes,
    clock: dict[str, float],
) -> None:
    """`kill -9` under load: no wrong answer, only refusals or dropped connections meanwhile."""
    sound, request = clip()
    ids = np.array(load_tokenizer(models[3]).encode("hello").ids)
    expected = alone(models[3], sound, ids)[0]
    done, outcomes, wrong = threading.Event(), Counter[str](), []
    answered: list[float] = []

    def load() -> None:
        while not done.is_set():
            try:
                answer = web.post("/v1/classify", **request)
            except httpx.TransportError:
                outcomes["dropped"] += 1
                time.sleep(0.1)
                continue
            outcomes[str(answer.status_code)] += 1
            if answer.status_code == 200:
                found = answer.json()["clips"][0]["probabilities"].values()
                answered.append(time.monotonic())
                if not np.allclose(list(found), expected, atol=1e-4):
                    wrong.append(answer.text)
            time.sleep(0.02)

    options = {"files": {"audio": ("long.wav", sample)}, "data": {"num_speakers": "2"}}
    jobs = [web.post("/v1/jobs", **options).headers["location"] for _ in range(2)]
    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert wait_until(lambda: all(web.get(j).json()["state"] == "running" for j in jobs), 60)
        assert wait_until(lambda: len(answered) > 3, 60)
        victim = worker(other)
        killed = time.monotonic()
        victim.kill()
        soon = max(SOON, clock["start"])
        assert wait_until(lambda: answered[-1] > killed + 0.5, soon), outcomes
        print(f"back after {answered[-1] - killed:.1f} s; starting took {clock['start']:.1f} s")
        assert worker(other).pid != victim.pid
        ended = {"done", "failed"}
        assert wait_until(lambda: all(_job(web, job).get("state") in ended for job in jobs), 120)
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    assert [_job(web, job)["state"] for job in jobs] == ["done", "done"]
    assert wait_until(lambda: metric(other.url, "moodline_waiting") == 0, 60)
    assert metric(other.url, 'moodline_served_version{role="production"}') == 3
    assert all(_job(web, job)["result"]["turns"] for job in jobs)
    assert wrong == []
    assert set(outcomes) <= {"200", "429", "503", "dropped"}, outcomes
    folder = service.settings.home / "serving" / "store" / "uploads"
    assert wait_until(lambda: not any(folder.iterdir()), 60)


def _job(web: httpx.Client, job: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = web.get(job).json()
        return found
    except httpx.TransportError:
        return {}


def test_no_name_of_a_recording_is_logged(service: Serving, other: Serving) -> None:
    for copy in (service, other):
        log = (copy.settings.home / "logs" / "service.log").read_text(errors="replace")
        assert not re.search(r"long\.wav|mine\.wav", log)
