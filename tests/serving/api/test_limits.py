"""What is too large, too long or too much is refused in one sentence, before it costs anything."""

import asyncio
import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import soundfile
from fastapi import FastAPI
from starlette.types import Message

from serving.api.app import create_app
from serving.keys import Keys, add_key
from tests.serving.helpers import start_log_service, wait_until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that receives one large upload at a time; no Triton stands behind it."""
    child, url = start_log_service(tmp_path_factory.mktemp("home"), MOODLINE_SERVE_UPLOADS="1")
    yield url
    child.kill()
    child.wait()


def silence(seconds: int) -> bytes:
    """A few kilobytes of FLAC."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(16_000 * seconds), 16_000, format="FLAC")
    return file.getvalue()


def classify(url: str, clips: list[bytes], texts: list[str]) -> httpx.Response:
    files = [("audio", ("a.flac", clip)) for clip in clips]
    return httpx.post(f"{url}/v1/classify", files=files, data={"text": texts}, timeout=60)


def detail(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    told: str = response.json()["detail"]
    return told


def test_texts_of_a_clip_are_no_books(url: str) -> None:
    clip = silence(1)
    told = detail(classify(url, [clip, clip], ["a", "b" * 8_001]), 422)
    assert told == "the field “text.1” is wrong: string should have at most 8000 characters"
    assert detail(classify(url, [clip], ["b" * 8_000]), 503), "taken, and nobody answers it"


def test_clips_are_counted_in_seconds_too(url: str) -> None:
    told = detail(classify(url, [silence(250)] * 3, ["a"] * 3), 413)
    assert told == "the clips are longer than 600 seconds together; send fewer at once"
    assert detail(classify(url, [silence(250)] * 2, ["a"] * 2), 503)


def test_feedback_is_short(url: str) -> None:
    said = {"request_id": "a", "turn": 0, "emotion": "sad", "author": "x" * 10_000}
    told = detail(httpx.post(f"{url}/v1/feedback", json=said), 413)
    assert told == "the upload is larger than 10 kilobytes"


def test_a_key_is_named_once(url: str) -> None:
    twice = b'{"request_id": "a", "turn": 0, "turn": 1, "emotion": "sad"}'
    headers = {"content-type": "application/json"}
    told = detail(httpx.post(f"{url}/v1/feedback", content=twice, headers=headers), 422)
    assert told == "the body: 'turn' is named twice in one object; name it once"


def test_control_characters_are_refused(url: str) -> None:
    said = {"request_id": "a", "turn": 0, "emotion": "sad", "author": "kim\0"}
    told = detail(httpx.post(f"{url}/v1/feedback", json=said), 422)
    problem = "is wrong: leave out line breaks and other control characters"
    assert told == f"the field “author” {problem}"
    half = json.dumps(said | {"author": "\ud800"})  # of a character
    headers = {"content-type": "application/json"}
    assert detail(httpx.post(f"{url}/v1/feedback", content=half, headers=headers), 422)
    assert detail(httpx.delete(f"{url}/v1/recordings/a%00b"), 422) == f"the field “name” {problem}"
    assert "no such job" in detail(httpx.get(f"{url}/v1/jobs/a%00b"), 404)
    assert "no such job" in detail(httpx.delete(f"{url}/v1/jobs/a%00b"), 404)


def test_a_length_of_thousands_of_digits_is_too_large() -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(1_000_000, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post("/v1/analyze", headers={"content-length": "9" * 5_000})

    assert "1 megabytes" in detail(asyncio.run(ask()), 413)


def test_only_so_many_large_uploads_are_received_at_a_time(url: str) -> None:
    large = {"audio": ("a.wav", bytes(2_000_000))}

    def send() -> httpx.Response:
        return httpx.post(f"{url}/v1/analyze", files=large, timeout=60)

    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as slow:
        head = "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n"
        slow.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
        assert wait_until(lambda: send().status_code == 429, 60)
        refused = send()
        assert detail(refused, 429) == "too many uploads are being received; try again later"
        assert int(refused.headers["retry-after"]) > 0
        assert detail(classify(url, [silence(1)], ["a"]), 503), "small ones are not kept waiting"
    assert wait_until(lambda: send().status_code == 503, 60), "a sender who went makes room"


async def uploads(app: FastAPI, senders: list[tuple[str, str]]) -> list[int]:
    """The statuses of uploads that are under way together: each sender's address and key."""
    go, statuses = asyncio.Event(), []

    async def upload(address: str, key: str) -> None:
        async def receive() -> Message:
            await go.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = {"authorization": f"Bearer {key}", "content-length": "5000000"}
        form = {"content-type": "multipart/form-data; boundary=x"}
        await app(
            {
                "type": "http", "method": "POST", "path": "/v1/analyze", "query_string": b"",
                "headers": [(k.encode(), v.encode()) for k, v in {**headers, **form}.items()],
                "client": (address, 50_000),
            },
            receive,
            send,
        )  # fmt: skip

    tasks = [asyncio.create_task(upload(*sender)) for sender in senders]
    await asyncio.sleep(0.05)
    go.set()
    await asyncio.gather(*tasks)
    return sorted(statuses)


def test_a_key_leaves_room_for_uploads_of_others(tmp_path: Path) -> None:
    """Of four places one key gets two, as long as there is another key."""
    one, two = (add_key(tmp_path / "keys", name) for name in ("one", "two"))
    app = create_app(10_000_000, 4)
    app.state.keys = Keys(tmp_path / "keys")
    senders = [("10.0.0.1", key) for key in (one, one, one, two)]
    assert asyncio.run(uploads(app, senders)) == [429, 499, 499, 499]


@pytest.mark.parametrize(
    ("crowd", "other"),
    [
        (["10.0.0.1"] * 3, "10.0.0.2"),
        (["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"], "2001:db8:0:1::1"),
    ],
)
def test_without_keys_an_address_leaves_room_for_others(crowd: list[str], other: str) -> None:
    """Of four places one address gets two; a host has all of its half of an IPv6 address."""
    senders = [(address, "") for address in (*crowd, other)]
    statuses = asyncio.run(uploads(create_app(10_000_000, 4), senders))
    assert statuses == [429, 499, 499, 499]
