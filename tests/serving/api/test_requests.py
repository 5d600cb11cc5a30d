"""How requests are answered and counted that cannot be served: whose fault was it?"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import prometheus_client
import pytest
from fastapi import FastAPI
from starlette.types import Message

from serving.api.app import create_app
from serving.errors import LateError
from tests.small_disk import on_small_disk

ROOT = Path(__file__).resolve().parents[3]

CLIP = {"audio": ("a.wav", b"RIFF")}


class Slow:
    """A runtime that takes its time, or finds that the model takes too much."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def classify(self, *_: Any) -> None:
        if self.error:
            raise self.error
        await asyncio.sleep(30)


def make_app(runtime: Slow, timeout: float = 60) -> FastAPI:
    app = create_app(1_000_000, 1)
    app.state.runtime, app.state.timeout = runtime, timeout
    return app


def counted() -> dict[str, float]:
    statuses = ("200", "400", "499", "500", "503", "504")
    name, path = "moodline_requests_total", "/v1/classify"
    found = {
        status: prometheus_client.REGISTRY.get_sample_value(name, {"path": path, "status": status})
        for status in statuses
    }
    return {status: value or 0.0 for status, value in found.items()}


def added(before: dict[str, float]) -> list[str]:
    return [status for status, value in counted().items() if value != before[status]]


@pytest.mark.parametrize(
    ("runtime", "timeout", "deadline", "status"),
    [
        (Slow(), 60, "0.05", "499"),
        (Slow(), 0.05, "60", "504"),
        (Slow(), 0.05, None, "504"),
        (Slow(LateError("the emotion model did not answer in time")), 60, "30", "504"),
    ],
    ids=["the sender's deadline", "the service's", "none was set", "long before it"],
)
def test_a_late_answer(runtime: Slow, timeout: float, deadline: str | None, status: str) -> None:
    headers = {} if deadline is None else {"x-deadline-seconds": deadline}

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(make_app(runtime, timeout))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post(
                "/v1/classify", files=CLIP, data={"text": "a"}, headers=headers
            )

    before = counted()
    assert asyncio.run(ask()).status_code == 504, "that is what the sender is told"
    assert added(before) == [status]


@pytest.mark.parametrize("most", [None, 100], ids=["while it waits", "while it sends"])
def test_a_sender_who_hangs_up(most: int | None) -> None:
    request = httpx.Request("POST", "http://x/v1/classify", files=CLIP, data={"text": "a"})
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/classify",
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }

    async def scene() -> None:
        messages: list[Message] = [
            {"type": "http.request", "body": request.read()[:most], "more_body": most is not None},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Message:
            return messages.pop(0)

        async def send(_: Message) -> None:
            pass

        await make_app(Slow())(scope, receive, send)

    before = counted()
    asyncio.run(scene())
    assert added(before) == ["499"]


def test_a_full_disk_is_said_in_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """Whether a recording is being received or kept for a job; with room it is taken."""
    disk, state = tmp_path / "disk", tmp_path / "state"
    disk.mkdir()
    state.mkdir()
    script = [sys.executable, "-m", "tests.serving.full_disk", disk, state]
    done = subprocess.run(
        on_small_disk(disk, 8, script), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    full = [503, "the server's disk is full; try again later, or tell its operator"]
    assert told["seen"] == {"received": full, "kept": full, "with room": [202, ""]}
    assert told["left"] == []
    assert told["jobs"] == 1
