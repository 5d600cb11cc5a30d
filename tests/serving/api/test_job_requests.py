"""Jobs as a sender sees them: sent, followed, deleted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.supervisor.serve import Serving
from tests.serving.helpers import MEGABYTES, heard, metric, post, upload, wait_until

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(300)]


def job_of(service: Serving, response: httpx.Response) -> Callable[[], dict[str, Any]]:
    assert response.status_code == 202, response.text
    url = service.url + response.headers["location"]
    return lambda: httpx.get(url, timeout=30).json()


def test_a_job_gives_what_the_answer_would_be(service: Serving, piece: bytes) -> None:
    data = {"num_speakers": "1", "words": "true"}
    answer = post(service, "analyze", files=upload(piece, "call 7.wav"), data=data).json()
    job = job_of(service, post(service, "jobs", files=upload(piece, "call 7.wav"), data=data))
    states = [job()]

    def ended() -> bool:
        states.append(job())
        return states[-1]["state"] in ("done", "failed")

    assert wait_until(ended, 60)
    done = states[-1]
    assert done["state"] == "done", done
    assert done["recording"] == "call_7"
    assert done["result"]["turns"] == answer["turns"]
    assert done["result"]["words"] == answer["words"]
    assert metric(service.url, "moodline_analyze_time_ratio_count") >= 1
    shares = [one["share"] for one in states]
    assert all(0 <= share <= 1 for share in shares) and shares[-1] == 1
    assert uploads(service) == []
    erased = httpx.delete(f"{service.url}/v1/recordings/call_7")
    assert (erased.json()["recording"], erased.json()["jobs"]) == ("call_7", 1)
    assert "no such job" in job()["detail"]
    assert httpx.delete(f"{service.url}/v1/recordings/call_7").status_code == 404


def uploads(service: Serving) -> list[Path]:
    return list((service.settings.home / "serving" / "store" / "uploads").iterdir())


def test_a_job_that_cannot_be_done_says_why(service: Serving) -> None:
    job = job_of(service, post(service, "jobs", files=upload(b"these are no sounds", "x.wav")))
    assert wait_until(lambda: job()["state"] == "failed", 60)
    assert "is not audio that can be read" in job()["reason"]
    assert wait_until(lambda: uploads(service) == [], 60)


def test_a_deleted_job_stops(service: Serving, sample: bytes) -> None:
    before = heard(service, "align")
    job = job_of(service, post(service, "jobs", files=upload(sample, "gone.wav")))
    assert wait_until(lambda: job()["state"] == "running" and job()["stage"] != "", 60)
    assert httpx.delete(f"{service.url}/v1/jobs/{job()['id']}").status_code == 204
    assert uploads(service) == []
    assert "no such job" in job()["detail"]
    assert wait_until(lambda: metric(service.url, "moodline_waiting") == 0, 60)
    assert heard(service, "align") == before


def test_an_upload_that_is_too_large_for_a_job(service: Serving) -> None:
    response = post(service, "jobs", files=upload(bytes(MEGABYTES * 1_000_001)))
    assert response.status_code == 413
    assert uploads(service) == []
