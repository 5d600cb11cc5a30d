"""Whatever is sent, the answer is the sender's fault or an answer; and nothing stays behind."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest

from serving.supervisor.serve import Serving
from tests.serving.helpers import wait_until, worker
from tests.serving.malformed import uploads

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(400)]

ROOMS = ("analyze", "classify", "jobs")


def send(client: httpx.Client, room: str, content: bytes) -> httpx.Response:
    data = {"text": "hello"} if room == "classify" else {"num_speakers": "1"}
    files = {"audio": ("a.bin", content)}
    return client.post(f"/v1/{room}", files=files, data=data, timeout=60)


def footprint(process: psutil.Process, service: Serving) -> tuple[int, int, int]:
    """Megabytes, open files, temporary files."""
    temporary = sum(1 for _ in (service.settings.home / "tmp").rglob("*"))
    return process.memory_info().rss >> 20, process.num_fds(), temporary


def test_500_malformed_uploads(service: Serving) -> None:
    process = worker(service)
    statuses: Counter[tuple[str, int]] = Counter()
    with httpx.Client(base_url=service.url) as client:
        for number, (_, content) in enumerate(uploads(60, seed=1)):
            send(client, ROOMS[number % 3], content)  # what is loaded once is loaded now
        before = footprint(process, service)
        for number, (kind, content) in enumerate(uploads(500, seed=2)):
            response = send(client, ROOMS[number % 3], content)
            assert response.status_code < 500, (kind, response.text)
            statuses[kind, response.status_code] += 1
            if response.status_code >= 400:
                told = response.json()["detail"]
                assert "\n" not in told and not re.search(r"Traceback|\.py\b|/\w+/\w+", told), told
        queue = service.settings.home / "serving" / "store" / "uploads"
        assert wait_until(lambda: not any(queue.iterdir()), 90), "jobs end, their uploads go"
    after = footprint(process, service)
    assert process.is_running(), "it never died"
    assert after[0] - before[0] < 100, f"memory grew from {before} to {after}"
    assert after[1] - before[1] < 20, f"open files grew from {before} to {after}"
    assert after[2] <= before[2], f"temporary files grew from {before} to {after}"
    assert {status for _, status in statuses} >= {200, 202, 415}
    for kind in ("noise", "text", "not numbers"):
        assert not statuses[kind, 200], f"{kind} was taken for sound"


CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def test_whatever_the_description_allows_is_answered_as_it_says(
    service: Serving, tmp_path: Path
) -> None:
    # 504 is what a sender asks for who waits for a microsecond.
    (tmp_path / "schemathesis.toml").write_text(
        '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 504]\n'
    )
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run",
            f"{service.url}/openapi.json", "--checks", ",".join(CHECKS), "--max-examples", "20",
            "--phases", "examples,coverage,fuzzing", "--generation-deterministic",
        ],
        capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-9_000:]
    assert re.search(r"Selected: (\d+)/\1\s+Tested: \1\b", done.stdout), done.stdout[-2_000:]
