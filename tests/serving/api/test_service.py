"""The whole service over HTTP: real speech models, a real Triton, a real recording of people."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from components.conversation import DEFAULT_LABELS, read_audio
from components.fusion import load_tokenizer
from serving.supervisor.serve import Serving
from tests.serving.helpers import MEGABYTES, SECONDS, metric, wav

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def answer(service: Serving, sample: bytes) -> dict[str, Any]:
    response = post(service, sample, "two people.wav", num_speakers="2")
    assert response.status_code == 200, response.text
    return response.json()


def post(service: Serving, content: bytes, name: str = "a.wav", **fields: str) -> httpx.Response:
    files = {"audio": (name, content)}
    return httpx.post(f"{service.url}/v1/analyze", files=files, data=fields, timeout=120)


def get(service: Serving, path: str) -> httpx.Response:
    return httpx.get(f"{service.url}{path}", timeout=10)


def test_a_recording_comes_back_as_turns(answer: dict[str, Any]) -> None:
    assert answer["model"] == {"name": "moodline", "version": "3", "labels": list(DEFAULT_LABELS)}
    assert answer["duration"] == pytest.approx(30, abs=0.1)
    turns = answer["turns"]
    assert len(turns) > 3
    assert {turn["session_id"] for turn in turns} == {"two_people"}
    assert len({turn["speaker"] for turn in turns} - {"unknown"}) == 2
    assert [turn["start_time"] for turn in turns] == sorted(t["start_time"] for t in turns)
    assert "hello" in " ".join(turn["words"] for turn in turns).lower()
    for turn in turns:
        assert 0 <= turn["start_time"] <= turn["end_time"] <= answer["duration"] + 0.1
        assert list(turn["probabilities"]) == list(DEFAULT_LABELS)
        assert sum(turn["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert turn["emotion"] == max(turn["probabilities"], key=turn["probabilities"].get)
        assert turn["confidence"] == turn["probabilities"][turn["emotion"]]


def test_each_turns_emotion_is_that_of_its_own_sound_and_words(
    answer: dict[str, Any],
    models: dict[int, Path],
    sample_dir: Path,
    alone: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    tokenizer = load_tokenizer(models[3])
    for turn in answer["turns"]:
        first, last = (round(turn[edge] * 16_000) for edge in ("start_time", "end_time"))
        sound = read_audio(sample_dir / "sample.wav")[first:last]
        ids = np.array(tokenizer.encode(turn["words"]).ids)
        expected = alone(models[3], sound, ids)[0]
        np.testing.assert_allclose(list(turn["probabilities"].values()), expected, atol=1e-4)


def test_the_options_are_heeded(service: Serving, demo_corpus: Path) -> None:
    dialogue = demo_corpus / "Session1" / "dialog" / "wav" / "Ses01F_impro01.ogg"
    lonely, forgot = read_audio(dialogue, 3.3, 6.8), read_audio(dialogue, 19.8, 22.9)  # one voice
    two_halves = wav(np.concatenate([lonely, np.zeros(4 * 16_000, np.float32), forgot]))
    found = {}
    for pause in ("0.5", "10"):
        response = post(service, two_halves, num_speakers="1", max_pause=pause)
        assert response.status_code == 200, response.text
        found[pause] = response.json()["turns"]
        assert len({turn["speaker"] for turn in found[pause]} - {"unknown"}) == 1
    assert [len(turns) for turns in found.values()] == [2, 1]


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "no field": ({"files": {"sound": ("a.wav", b"RIFF")}}, 422, "“audio”"),
    "no body": ({}, 422, "“audio”"),
    "not a file": ({"data": {"audio": "hello"}}, 422, "“audio”"),
    "empty": ({"files": {"audio": ("a.wav", b"")}}, 400, "empty"),
    "text": ({"files": {"audio": ("a.wav", b"hello there " * 99)}}, 415, "not audio"),
    "cut off": ({"files": {"audio": ("a.mp3", b"\xff\xfb\x90\x00" * 3)}}, 415, "recording"),
    "no people": (
        {"files": {"audio": ("a.wav", b"x")}, "data": {"num_speakers": "0"}},
        422,
        "num_speakers",
    ),
    "many people": (
        {"files": {"audio": ("a.wav", b"x")}, "data": {"num_speakers": "many"}},
        422,
        "num_speakers",
    ),
    "pause": (
        {"files": {"audio": ("a.wav", b"x")}, "data": {"max_pause": "nan"}},
        422,
        "max_pause",
    ),
    "numbers": (
        {"files": {"audio": ("a.wav", wav(np.full(16_000, np.nan)))}},
        415,
        "not numbers",
    ),
    "too long": (
        {"files": {"audio": ("a.flac", wav(np.zeros((SECONDS + 5) * 8_000), 8_000))}},
        413,
        "longer than 60 seconds",
    ),
    "too large": (
        {"files": {"audio": ("a.wav", bytes(MEGABYTES * 1_000_001))}},
        413,
        "8 megabytes",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_in_one_sentence(service: Serving, case: str) -> None:
    request, status, words = BAD[case]
    response = httpx.post(f"{service.url}/v1/analyze", timeout=60, **request)
    assert response.status_code == status, response.text
    told = response.json()
    assert list(told) == ["detail"]
    assert words in told["detail"]
    assert "\n" not in told["detail"]
    assert not re.search(r"Traceback|site-packages|\.py|/\w+/\w+", told["detail"])


def test_an_endless_upload_is_cut_off(service: Serving) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
        for _ in range(3 * MEGABYTES):
            yield bytes(1_000_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        response = httpx.post(
            f"{service.url}/v1/analyze", content=endless(), headers=headers, timeout=60
        )
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        return  # cut off in the middle, as it deserves
    assert response.status_code == 413


@pytest.mark.parametrize(
    "samples",
    [np.zeros(32_000), np.zeros(1), np.random.default_rng(1).normal(size=32_000) * 0.1],
    ids=["silence", "one sample", "noise"],
)
def test_a_recording_without_speech_has_no_turns(service: Serving, samples: np.ndarray) -> None:
    response = post(service, wav(samples))
    assert response.status_code == 200, response.text
    assert response.json()["turns"] == []
    assert response.json()["duration"] == pytest.approx(len(samples) / 16_000)


def test_wrong_paths_and_methods_are_refused_kindly(service: Serving) -> None:
    assert get(service, "/v1/nothing").status_code == 404
    assert get(service, "/v1/analyze").status_code == 405
    foreign = httpx.get(f"{service.url}/v1/model", headers={"host": "evil.example"})
    assert (foreign.status_code, list(foreign.json())) == (403, ["detail"])


def test_the_page_and_the_description_come_from_here_alone(service: Serving) -> None:
    page = get(service, "/")
    assert "a statistical guess" in page.text
    assert "Regulation (EU) 2024/1689" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"(src|href)=.https?:", page.text)
    assert not re.search(r"(src|href)=.https?:", get(service, "/docs").text)
    assert get(service, "/static_content/swagger-ui-bundle.js").status_code == 200
    assert "/v1/analyze" in get(service, "/openapi.json").json()["paths"]


def test_an_operator_sees_what_is_served_and_the_sums_of_the_workers(service: Serving) -> None:
    seen = httpx.get(f"{service.url}/v1/operations", timeout=60).json()
    assert seen["served"]["roles"]["production"]["version"] == 3
    assert seen["registry"]["versions"] == [] and not seen["may_change"]
    before = httpx.get(f"{service.url}/v1/operations/live", timeout=60).json()
    httpx.get(f"{service.url}/v1/model", timeout=60)
    after = httpx.get(f"{service.url}/v1/operations/live", timeout=60).json()
    assert after["requests"] == before["requests"] + 1
    assert after["requests"] == metric(service.url, 'moodline_requests_total{path="/v1/') - metric(
        service.url, 'moodline_requests_total{path="/v1/operations'
    )
    assert httpx.get(f"{service.url}/operations", timeout=60).status_code == 200


def test_what_happens_is_counted(service: Serving, piece: bytes) -> None:
    once = ['moodline_requests_total{path="/v1/analyze",status="200"}']
    stages = ("wait", "decode", "transcribe", "diarize", "align", "classify")
    once += [f'moodline_stage_seconds_count{{stage="{stage}"}}' for stage in stages]
    sums = ["moodline_audio_seconds_total", "moodline_turns_total", "moodline_emotions_total{"]
    before = {name: metric(service.url, name) for name in once + sums}
    body = post(service, piece, num_speakers="2").json()
    assert len(body["turns"]) > 0
    expected = [1] * len(once) + [body["duration"], len(body["turns"]), len(body["turns"])]
    for name, more in zip(once + sums, expected, strict=True):
        assert metric(service.url, name) - before[name] == pytest.approx(more), name
    assert metric(service.url, "moodline_waiting") == 0
    for work in ("speech", "read", "word_times", "segment", "embed"):
        assert metric(service.url, f'moodline_work_seconds_total{{work="{work}"}}') > 0
        assert metric(service.url, f'moodline_work_processor_seconds_total{{work="{work}"}}') > 0


def test_it_answers_while_it_listens_and_says_no_when_full(service: Serving, piece: bytes) -> None:
    done = threading.Event()
    delays = []

    def watch() -> None:
        while not done.is_set():
            began = time.monotonic()
            assert get(service, "/healthz").status_code == 200
            delays.append(time.monotonic() - began)
            time.sleep(0.1)

    with ThreadPoolExecutor(6) as pool:
        watching = pool.submit(watch)
        posts = [pool.submit(post, service, piece) for _ in range(4)]
        wait(posts)
        done.set()
        watching.result()
    responses = [one.result() for one in posts]
    # One is heard, one may wait.
    assert sorted(r.status_code for r in responses) == [200, 200, 429, 429]
    refused = next(r for r in responses if r.status_code == 429)
    assert int(refused.headers["retry-after"]) > 0
    assert len(delays) > 10
    assert max(delays) < 2


def test_when_triton_dies_it_says_so_and_comes_back_by_itself(
    service: Serving, piece: bytes
) -> None:
    assert get(service, "/readyz").status_code == 200
    assert service.triton and service.triton.pid
    psutil.Process(service.triton.pid).kill()
    time.sleep(1.1)  # a probe counts for a second
    states = {get(service, "/readyz").status_code}
    assert get(service, "/healthz").status_code == 200
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and get(service, "/readyz").status_code != 200:
        states.add(503)
        response = post(service, piece, num_speakers="2")
        assert response.status_code in (200, 503), response.text
        if response.status_code == 503:
            assert "emotion model does not answer" in response.json()["detail"]
            assert "retry-after" in response.headers
    assert 503 in states
    assert get(service, "/readyz").status_code == 200
    assert post(service, piece, num_speakers="2").status_code == 200


def test_nothing_of_a_recording_is_kept(service: Serving, answer: dict[str, Any]) -> None:
    home = service.settings.home
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert not [path for path in kept if path.suffix in (".wav", ".flac")]
    logs = "\n".join(path.read_text(errors="replace") for path in (home / "logs").iterdir())
    assert answer["turns"][0]["words"] not in logs
