"""2,000 requests of the attack list against one running service, then 100 honest ones.

`make test-attack` runs it. What one request may do alone is held by tests/serving; this holds that
nothing of it stays behind: memory, file handles, threads, files, series in `/metrics`.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest

from serving.supervisor.serve import Serving
from tests.serving.helpers import wait_until, worker
from tests.serving.malformed import uploads

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(3000)]

Attack = Callable[[httpx.Client, random.Random], httpx.Response]

TEXTS = ["../../etc/passwd", "<script>alert(1)</script>", "a" * 5000, "\u202egnp", "%00", "x y&z$"]


def odd_path(client: httpx.Client, dice: random.Random) -> httpx.Response:
    return client.get(
        f"/{dice.choice(['v1/', ''])}{dice.getrandbits(64):x}{'/x' * dice.randrange(9)}"
    )


def odd_method(client: httpx.Client, dice: random.Random) -> httpx.Response:
    return client.request(f"FOO{dice.getrandbits(32):x}", "/v1/model")


def unknown_job(client: httpx.Client, dice: random.Random) -> httpx.Response:
    return client.request(dice.choice(["GET", "DELETE"]), f"/v1/jobs/{dice.getrandbits(128):032x}")


def unknown_recording(client: httpx.Client, dice: random.Random) -> httpx.Response:
    return client.delete(f"/v1/recordings/therapy_{dice.getrandbits(64):x}")


def foreign_host(client: httpx.Client, dice: random.Random) -> httpx.Response:
    return client.get("/v1/model", headers={"Host": "evil.example"})


def cross_site(client: httpx.Client, dice: random.Random) -> httpx.Response:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    return client.post("/v1/align", json={}, headers=headers)


def foreign_feedback(client: httpx.Client, dice: random.Random) -> httpx.Response:
    body = {
        "request_id": f"{dice.getrandbits(64):x}", "turn": dice.randrange(5), "emotion": "angry",
        "source": "reviewer", "author": dice.choice(TEXTS),
    }  # fmt: skip
    return client.post("/v1/feedback", json=body)


def broken_json(client: httpx.Client, dice: random.Random) -> httpx.Response:
    content = dice.choice(
        [b"[" * 50_000, b'{"words": NaN}', b"\xff\xfe", b'{"a":' + b"1" * 5000 + b"}", b'"\\ud800"']
    )
    headers = {"Content-Type": "application/json"}
    return client.post(dice.choice(["/v1/align", "/v1/feedback"]), content=content, headers=headers)


def crowd_of_speakers(client: httpx.Client, dice: random.Random) -> httpx.Response:
    words = [{"word": "a", "start": 0, "end": 9} for _ in range(3000)]
    speakers = [{"start": 0, "end": 9, "speaker": f"S{i}"} for i in range(3000)]
    body = {"words": {"segments": [{"start": 0, "end": 9, "words": words}]}, "speakers": speakers}
    return client.post("/v1/align", json=body)


def odd_upload(client: httpx.Client, dice: random.Random) -> httpx.Response:
    _, content = next(uploads(1, seed=dice.getrandbits(30)))
    path = dice.choice(["analyze", "classify", "jobs"])
    data = {"text": "hello"} if path == "classify" else {"num_speakers": "1"}
    return client.post(f"/v1/{path}", files={"audio": (dice.choice(TEXTS), content)}, data=data)


def odd_options(client: httpx.Client, dice: random.Random) -> httpx.Response:
    data = {"num_speakers": dice.choice(["0", "-1", "nan", "9" * 400]), "max_pause": "inf"}
    return client.post("/v1/analyze", files={"audio": ("a.wav", b"RIFF")}, data=data)


def odd_headers(client: httpx.Client, dice: random.Random) -> httpx.Response:
    headers = {
        "X-Request-Id": "é" * 10 + f"{dice.getrandbits(64):x}", "X-Deadline-Seconds": "-1",
        "Authorization": f"Bearer {dice.getrandbits(64):x}", "Accept": "text/\x7f",
    }  # fmt: skip
    return client.get("/v1/model", headers={k: v.encode() for k, v in headers.items()})  # type: ignore[arg-type]


ATTACKS: tuple[Attack, ...] = (
    odd_path, odd_method, unknown_job, unknown_recording, foreign_host, cross_site,
    foreign_feedback, broken_json, crowd_of_speakers, odd_upload, odd_options, odd_headers,
)  # fmt: skip


def honest(client: httpx.Client, piece: bytes) -> Iterator[Any]:
    """A hundred answers to honest requests."""
    words = [{"start": 0, "end": 1, "words": [{"word": "so"}]}]
    rttm = "SPEAKER call 1 0 1 <NA> <NA> A <NA> <NA>"
    for number in range(100):
        if number % 10 == 0:
            yield client.post("/v1/analyze", files={"audio": ("a.wav", piece)})
        elif number % 2:
            yield client.post("/v1/align", json={"words": words, "speakers": rttm})
        else:
            files, data = {"audio": ("a.wav", piece)}, {"text": "hello"}
            yield client.post("/v1/classify", files=files, data=data)


def footprint(process: psutil.Process, service: Serving) -> dict[str, int]:
    """Megabytes, handles, threads of the worker, and files that wait somewhere."""
    waiting = sum(1 for _ in (service.settings.home / "tmp").rglob("*"))
    return {
        "megabytes": process.memory_info().rss >> 20,
        "handles": process.num_fds(),
        "threads": process.num_threads(),
        "files": waiting,
    }


def test_nothing_of_two_thousand_attacks_stays(service: Serving, piece: bytes) -> None:
    dice, process = random.Random(5), worker(service)
    statuses: Counter[str] = Counter()
    with httpx.Client(base_url=service.url, timeout=120) as client:
        for response in honest(client, piece):  # what is loaded once is loaded now
            assert response.status_code == 200, response.text
        for number in range(600):  # pools of threads have grown as far as they do
            ATTACKS[number % len(ATTACKS)](client, dice)
        before = footprint(process, service)
        for number in range(2000):
            attack = ATTACKS[number % len(ATTACKS)]
            response = attack(client, dice)
            assert response.status_code < 500 or response.status_code == 503, (
                attack.__name__, response.status_code, response.text[:300]
            )  # fmt: skip
            statuses[f"{attack.__name__} {response.status_code}"] += 1
        queue = service.settings.home / "serving" / "store" / "uploads"
        assert wait_until(lambda: not any(queue.iterdir()), 300), "jobs end, their uploads go"
        for response in honest(client, piece):
            assert response.status_code == 200, response.text
        series = len(client.get("/metrics").text.splitlines())
    after = footprint(process, service)
    print(json.dumps({"before": before, "after": after, "series": series, **statuses}, indent=1))
    assert process.is_running(), "it never died"
    assert after["megabytes"] <= 1.05 * before["megabytes"]
    assert after["handles"] <= before["handles"] + 5
    assert after["threads"] <= before["threads"] + 2
    assert after["files"] <= before["files"]
    assert series < 2 * 2000, "at most 2,000 series, each with its comments"
    for attack in (foreign_host, cross_site, unknown_job, unknown_recording, foreign_feedback):
        assert not statuses[f"{attack.__name__} 200"], attack.__name__
