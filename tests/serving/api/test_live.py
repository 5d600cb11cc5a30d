"""Calls that are listened to while they go on, over real WebSockets, through BentoML's mount."""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from components.conversation import read_audio
from serving.keys import add_key
from serving.supervisor.serve import Serving
from tests.serving.helpers import SECONDS, metric, start_log_service, wait_until
from tests.serving.live_client import FRAME, Talk, line, next_event, pcm, talk

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def speech(sample_dir: Path) -> np.ndarray:
    """Two people, 14 s."""
    return read_audio(sample_dir / "sample.wav", 6, 20)


@pytest.fixture(scope="module")
def call(service: Serving, speech: np.ndarray) -> Talk:
    return talk(service.url, speech, name="two people")


def refusal(socket: ClientConnection) -> tuple[dict[str, Any], int]:
    """The last event, and the code with which the connection was closed."""
    event: dict[str, Any] = {}
    try:
        while True:
            event = next_event(socket)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return event, closed.rcvd.code


def test_words_and_turns_are_told(call: Talk) -> None:
    assert call.code == 1000
    (ready,) = call.of("ready")
    assert (ready["samples"], ready["version"]) == (0, "3")
    told = [event for _, event in call.events if "seq" in event]
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert [event["type"] for event in told][-1] == "job"
    words = [word for event in call.of("words") for word in event["words"]]
    assert [word["start"] for word in words] == sorted(word["start"] for word in words)
    text = " ".join(turn["words"] for turn in call.turns())
    assert sorted(text.split()) == sorted(word["word"] for word in words), "no word is lost"
    assert "hello" in text.lower()
    for turn in call.turns():
        assert 0 <= turn["start_time"] < turn["end_time"] <= 14
        assert list(turn["probabilities"]) == ready["labels"]
        assert turn["speaker"].startswith("SPEAKER_")


def test_the_final_answer_is_that_of_a_recording(
    service: Serving, speech: np.ndarray, call: Talk
) -> None:
    (final,) = call.of("final")
    file = io.BytesIO()
    sound = np.frombuffer(pcm(speech), "<i2")
    soundfile.write(file, sound, 16_000, format="WAV", subtype="PCM_16")
    files = {"audio": ("two people.wav", file.getvalue())}
    response = httpx.post(f"{service.url}/v1/analyze", files=files, timeout=120)
    expected = response.json()
    del expected["request_id"], final["answer"]["request_id"]
    assert final["answer"] == expected
    theirs = {turn["speaker"] for turn in expected["turns"]}
    assert set(final["speakers"].values()) <= theirs
    assert set(final["speakers"]) <= {turn["speaker"] for turn in call.turns()}


def test_it_is_counted(service: Serving, call: Talk) -> None:
    told = len(call.of("turn"))
    assert metric(service.url, "moodline_live_turn_seconds_count") >= told > 0
    assert metric(service.url, 'moodline_live_ended_total{outcome="handed_over"}') >= 1
    assert wait_until(lambda: metric(service.url, "moodline_live_calls") == 0, 60)
    answered = 'moodline_requests_total{path="/v1/live",status="101"}'
    assert metric(service.url, answered) >= 1


def test_a_call_goes_on_by_another_connection(service: Serving, speech: np.ndarray) -> None:
    """The first one is lost without a word, as where a network fails."""
    sound = pcm(speech[: 9 * 16_000])
    half = len(sound) // 2 // 2 * 2
    with line(service.url, name="broken") as first:
        id = next_event(first)["id"]
        for begin in range(0, half, 2 * FRAME):
            first.send(sound[begin : min(begin + 2 * FRAME, half)])
        seen = next_event(first)["seq"] if half > 2 * 16_000 * 6 else 0
        first.socket.close()
    told: list[dict[str, Any]] = []
    with line(service.url, id=id, seen=seen) as second:
        ready = next_event(second)
        assert ready["id"] == id
        assert 0 < ready["samples"] <= half // 2
        for begin in range(2 * ready["samples"], len(sound), 2 * FRAME):
            second.send(sound[begin : begin + 2 * FRAME])
        second.send(json.dumps({"type": "end"}))
        while not told or told[-1]["type"] != "final":
            told.append(next_event(second))
    events = [event["seq"] for event in told if "seq" in event]
    assert events == list(range(seen + 1, seen + 1 + len(events)))
    assert told[-1]["answer"]["duration"] == pytest.approx(9.0)


def test_a_connection_lost_after_the_end(service: Serving, speech: np.ndarray) -> None:
    """The call becomes one job, whichever connection waits for it."""
    sound = pcm(speech)
    with line(service.url, name="ended") as first:
        id = next_event(first)["id"]
        for begin in range(0, len(sound), 2 * FRAME):
            first.send(sound[begin : begin + 2 * FRAME])
        first.send(json.dumps({"type": "end"}))
        assert next_event(first)["type"] == "words", "it is past the sound by then"
        first.socket.close()
    told: list[dict[str, Any]] = []
    with line(service.url, id=id) as second:
        second.send(json.dumps({"type": "end"}))
        while not told or told[-1]["type"] != "final":
            told.append(next_event(second))
    jobs = [event["job"] for event in told if event["type"] == "job"]
    assert len(jobs) == 1
    assert told[-1]["answer"]["request_id"] == jobs[0]
    assert told[-1]["answer"]["duration"] == pytest.approx(len(speech) / 16_000)


def test_a_final_answer_that_fails_says_why(service: Serving, speech: np.ndarray) -> None:
    """Its upload is taken away before its turn has come."""
    folder = service.settings.home / "serving" / "store" / "uploads"
    file = io.BytesIO()
    soundfile.write(file, np.tile(speech, 3), 16_000, format="WAV")
    with ThreadPoolExecutor(1) as pool:  # another long recording has the models meanwhile
        files = {"audio": ("long.wav", file.getvalue())}
        url = f"{service.url}/v1/jobs"
        before = httpx.post(url, files=files, timeout=120).json()["id"]
        told = pool.submit(talk, service.url, speech[: 3 * 16_000], name="fails")
        assert wait_until(lambda: len(list(folder.iterdir())) == 2, 60)
        (upload,) = (path for path in folder.iterdir() if path.name != before)
        upload.unlink()
        httpx.delete(f"{url}/{before}", timeout=20)
        last = told.result(120)
    assert last.code == 4422
    assert "its upload is gone" in last.events[-1][1]["detail"]


def test_the_newer_connection_has_the_call(service: Serving) -> None:
    with line(service.url) as first:
        id = next_event(first)["id"]
        with line(service.url, id=id) as second:
            assert next_event(second)["id"] == id
            event, code = refusal(first)
            assert code == 4409
            assert "another connection" in event["detail"]
            second.send(json.dumps({"type": "forget"}))
            with pytest.raises(ConnectionClosed):
                next_event(second)
            assert second.close_code == 1000
    with line(service.url, id=id) as third:
        assert refusal(third)[1] == 4410, "it is forgotten"


def test_an_unknown_call_begins_anew(service: Serving) -> None:
    with line(service.url, id="0" * 32) as socket:
        event, code = refusal(socket)
    assert (event["type"], code) == ("restart", 4410)
    assert "begin a new one" in event["detail"]


def test_it_says_that_it_is_full(service: Serving) -> None:
    full = metric(service.url, 'moodline_live_ended_total{outcome="full"}')
    with ExitStack() as all_lines:
        lines = [all_lines.enter_context(line(service.url)) for _ in range(4)]
        assert {next_event(one)["type"] for one in lines} == {"ready"}
        with line(service.url) as fifth:
            event, code = refusal(fifth)
        assert (event["status"], code) == (429, 4429)
        assert "try again later" in event["detail"]
        assert metric(service.url, 'moodline_live_ended_total{outcome="full"}') == full + 1
        lines[0].send(json.dumps({"type": "forget"}))
        with pytest.raises(ConnectionClosed):
            next_event(lines[0])
        with line(service.url) as again:
            assert next_event(again)["type"] == "ready"
            again.send(json.dumps({"type": "forget"}))
        for one in lines[1:]:
            one.send(json.dumps({"type": "forget"}))


@pytest.mark.parametrize(
    ("frames", "status", "said"),
    [
        (["nonsense"], 422, "first frame"),
        ([b"\0\0"], 422, "the first frame is text"),
        (['{"type": "start", "langauge": "en"}'], 422, "langauge"),
        (['{"type": "start", "language": "xx"}'], 422, "xx"),
        (['{"type": "start", "min_speakers": 3, "max_speakers": 2}'], 422, "speakers"),
        (['{"type": "start"}', b"\0\0\0"], 422, "whole samples"),
        (['{"type": "start"}', b""], 422, "one at least"),
        (['{"type": "start"}', bytes(70_000)], 422, "64000 bytes at most"),
        (['{"type": "start"}', '{"type": "stop"}'], 422, "“end” or “forget”"),
        (['{"type": "start"}', '{"type": "end"}'], 422, "no sound"),
    ],
    ids=lambda value: str(value)[:40] if not isinstance(value, list) else str(value[-1])[:30],
)
def test_wrong_frames(service: Serving, frames: list[Any], status: int, said: str) -> None:
    with connect(service.url.replace("http", "ws", 1) + "/v1/live", proxy=None) as socket:
        for frame in frames:
            socket.send(frame)
        event, code = refusal(socket)
    assert event["type"] == "error"
    assert (event["status"], code) == (status, 4000 + status)
    assert said in event["detail"]


def test_a_huge_frame(service: Serving) -> None:
    with line(service.url) as socket:
        next_event(socket)
        socket.send(bytes(200_000))
        with pytest.raises(ConnectionClosed):
            next_event(socket)
        assert socket.close_code == 1009


def test_other_sites_pages_may_not_listen(service: Serving) -> None:
    url = service.url.replace("http", "ws", 1) + "/v1/live"
    with connect(url, origin="https://evil.example", proxy=None) as socket:  # type: ignore[arg-type]
        socket.send('{"type": "start"}')
        event, code = refusal(socket)
    assert code == 4403
    assert "Origin" in event["detail"]


def test_a_call_that_lasts_too_long_is_handed_over(service: Serving) -> None:
    silence = np.zeros(16_000 * (SECONDS + 2), np.float32)
    told = talk(service.url, silence, name="long")
    assert told.code == 1000
    (final,) = told.of("final")
    assert final["answer"]["duration"] == pytest.approx(SECONDS)
    assert final["answer"]["turns"] == []
    assert not told.of("words")


def test_an_erasure_ends_it(service: Serving, speech: np.ndarray) -> None:
    with line(service.url, name="to be erased") as socket:
        id = next_event(socket)["id"]
        socket.send(pcm(speech[:FRAME]))
        answer = httpx.delete(f"{service.url}/v1/recordings/to be erased", timeout=20)
        assert answer.status_code == 200
        assert answer.json()["under_way"] == 1
        assert refusal(socket)[1] >= 4000
    with line(service.url, id=id) as again:
        assert refusal(again)[0]["type"] == "restart"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A service without speech models that knows one key, and the key."""
    home = tmp_path_factory.mktemp("keyed")
    token = add_key(home / "keys", "desk")
    child, url = start_log_service(home, MOODLINE_SERVE_KEYS=str(home / "keys"))
    yield url, token
    child.kill()
    child.wait()


def test_a_key_is_needed(keyed: tuple[str, str]) -> None:
    url, token = keyed
    for start in ({}, {"key": "wrong"}):
        with line(url, **start) as socket:
            event, code = refusal(socket)
        assert (event["status"], code) == (401, 4401)
    with line(url, key=token) as socket:
        event, code = refusal(socket)
    assert code == 4503, "it is known, but no speech models are there"
    assert "loaded" in event["detail"]
