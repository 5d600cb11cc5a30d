"""Answers are logged before they go out, and people say what was wrong with them: over HTTP, with
a real Triton, and with a service that is killed."""

import asyncio
import io
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import soundfile

from components.conversation import DEFAULT_LABELS, Turn
from components.fusion import turn_measures
from components.traffic import FeedbackStore, TurnLog
from pipelines.cli.main import run
from serving.engine.classified import Classified
from serving.engine.prediction_log import LogSettings, PredictionLog, RequestInfo
from serving.keys import add_key
from serving.lineup import Lineup, Served, write_pointer
from serving.triton.server import TritonServer
from tests.serving.helpers import start_log_service

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

Start = Callable[..., "tuple[subprocess.Popen[bytes], str]"]


@pytest.fixture
def start(triton: TritonServer, models: dict[int, Path], tmp_path: Path) -> Iterator[Start]:
    """Start a service on the log in `tmp_path`; its process and its address."""
    write_pointer(tmp_path / "served.json", Lineup({"production": Served(3, models[3])}))
    children = []

    def begin(**more: str) -> "tuple[subprocess.Popen[bytes], str]":
        child, url = start_log_service(
            tmp_path,
            MOODLINE_TRITON_URL=triton.grpc_url,
            MOODLINE_SERVE_POINTER=str(tmp_path / "served.json"),
            **more,
        )
        children.append(child)
        return child, url

    yield begin
    for child in children:
        child.kill()
        child.wait()


def logged(home: Path, database: str = "feedback.db") -> pa.Table:
    with closing(TurnLog(home / "log", f"sqlite:///{home}/{database}")) as log:
        return log.window()


def wav(seed: int, seconds: float = 0.5) -> bytes:
    file = io.BytesIO()
    sound = 0.3 * np.random.default_rng(seed).normal(size=round(16_000 * seconds)).astype("f4")
    soundfile.write(file, sound, 16_000, format="WAV", subtype="FLOAT")
    return file.getvalue()


def classify(client: httpx.Client, url: str, clips: list[bytes], texts: list[str]) -> Any:
    files = [("audio", ("a.wav", clip)) for clip in clips]
    return client.post(f"{url}/v1/classify", files=files, data={"text": texts}, timeout=60)


def test_an_answer_is_in_the_log_and_can_be_corrected(start: Start, tmp_path: Path) -> None:
    child, url = start()
    client = httpx.Client()
    answer = classify(client, url, [wav(1), wav(2, 1.5)], ["hello there yes", "a"])
    assert answer.status_code == 200, answer.text
    name = answer.json()["request_id"]
    assert name == answer.headers["x-moodline-request-id"] == answer.headers["x-request-id"]

    rows = logged(tmp_path).to_pylist()
    assert [(row["request_id"], row["turn"]) for row in rows] == [(name, 0), (name, 1)]
    for row, clip in zip(rows, answer.json()["clips"], strict=True):
        assert (row["emotion"], row["version"]) == (clip["emotion"], 3)
        assert (row["route"], row["alias"]) == ("/v1/classify", "production")
        assert row["probabilities"] == pytest.approx(list(clip["probabilities"].values()), abs=1e-6)
        assert np.linalg.norm(row["embedding"]) > 0
        assert row["text"] is None
    assert [row["duration"] for row in rows] == [0.5, 1.5]
    assert rows[0]["words_per_second"] == 6.0

    def say(emotion: str, **more: Any) -> tuple[int, dict[str, Any]]:
        body = {"request_id": name, "turn": 1, "emotion": emotion, **more}
        response = client.post(f"{url}/v1/feedback", json=body)
        return response.status_code, response.json()

    predicted = rows[1]["emotion"]
    first, second = [emotion for emotion in DEFAULT_LABELS if emotion != predicted][:2]
    kept = {"number": 1, "new": True, "contradicts": 0, "predicted": predicted, "stands": first}
    assert say(first) == (201, kept)
    assert say(first) == (200, kept | {"new": False})
    against = {"number": 2, "contradicts": 1, "stands": second}
    assert say(second, source="reviewer", author="kim") == (201, kept | against)
    assert say(first) == (200, kept | {"new": False, "contradicts": 1, "stands": second})
    status, told = say(first, request_id="0" * 32)
    assert (status, told["detail"]) == (
        404,
        f"no request '{'0' * 32}' is in the log; take the answer's request_id",
    )
    status, told = say(first, turn=2)
    assert (status, told["detail"].split(";")[0]) == (
        404,
        f"request '{name}' has 2 turns, counted from 0",
    )
    assert say("furious")[0] == 422
    assert say(first, request_id="../x")[0] == 422

    store = FeedbackStore(f"sqlite:///{tmp_path}/feedback.db")
    assert [(e.emotion, e.source, e.author) for e in store.entries()] == [
        (first, "agent", ""),
        (second, "reviewer", "kim"),
    ]
    child.terminate()
    child.wait(30)
    child, url = start(MOODLINE_LOG_ON="false")  # what was logged before is erased all the same
    assert classify(client, url, [wav(1)], ["hello"]).status_code == 200
    assert len(logged(tmp_path)) == 2
    erased = client.delete(f"{url}/v1/recordings/{name}").json()
    assert (erased["logged"], erased["feedback"]) == (2, 2)
    assert len(logged(tmp_path)) == 0
    assert store.entries() == []
    assert client.delete(f"{url}/v1/recordings/{name}").status_code == 404
    store.close()
    child.terminate()
    assert child.wait(30) in (0, -15)


@pytest.mark.parametrize("by_service", [True, False], ids=["the service", "the command line"])
def test_a_recording_is_erased_under_every_name_it_had(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_service: bool
) -> None:
    """Version 0.1 named one file `my_call_1` in the service, `my_call_(1)` on the command line."""
    url = f"sqlite:///{tmp_path}/feedback.db"
    log = PredictionLog(tmp_path / "log", url, LogSettings())
    for name in ("my_call_1", "my_call_(1)", "my_call"):
        turn = Turn(name, 0.0, 1.0, "A", "hello").answered([0.1, 0.7, 0.2, 0.0], DEFAULT_LABELS)
        measures = turn_measures(np.zeros(16_000, "f4"), turn.words)
        asked = RequestInfo(name, "/v1/analyze")
        answer = Classified(
            np.full((1, 4), 0.25), np.zeros((1, 8), "f4"), 3, DEFAULT_LABELS, "production"
        )
        log.record(asked, name, answer, [turn], [measures])
    asyncio.run(log.close())
    if by_service:
        _, url = start()
        with httpx.Client(base_url=f"{url}/v1/recordings/") as client:
            assert client.delete("calls%2Fmy call (1).wav").json()["logged"] == 2
            assert client.delete("my call (1).wav").status_code == 404
    else:
        monkeypatch.setenv("MOODLINE_HOME", str(tmp_path))
        assert run(["log", "erase", "calls/my call (1).wav"]) == 0
        assert run(["log", "erase", "my_call_1"]) == 2
    assert logged(tmp_path)["request_id"].to_pylist() == ["my_call"]


def test_feedback_belongs_to_the_key_and_an_id_to_one_answer(start: Start, tmp_path: Path) -> None:
    """Two tenants and a reviewer; one id for two of a tenant's requests."""
    keys = tmp_path / "keys.txt"
    own, other = (add_key(keys, name, reviewer=name == "a") for name in ("a", "b"))
    _, url = start(MOODLINE_SERVE_KEYS=str(keys))
    tenants = {name: {"authorization": f"Bearer {key}"} for name, key in (("a", own), ("b", other))}
    with httpx.Client(base_url=url) as client:

        def ask(correlation: str) -> str:
            client.headers.update(tenants["a"] | {"x-request-id": correlation})
            answer = classify(client, url, [wav(1)], ["hello"])
            assert answer.headers["x-request-id"] == correlation
            return str(answer.json()["request_id"])

        def say(tenant: str, request: str, **more: str) -> tuple[int, str]:
            body = {"request_id": request, "turn": 0, "emotion": "sad", **more}
            answer = client.post("/v1/feedback", json=body, headers=tenants[tenant])
            return answer.status_code, answer.json().get("detail", "")

        first = ask("call-42")
        assert say("b", "call-42")[0] == say("b", first)[0] == 404
        assert say("b", first, recording=first)[0] == 404
        assert say("b", first, source="reviewer")[0] == 403
        assert say("a", "call-42", source="reviewer")[0] == 201
        second = ask("call-42")
        assert second != first
        status, told = say("a", "call-42")
        assert status == 409
        assert first in told
        assert second in told
        assert [say("a", one, emotion="angry")[0] for one in (first, second)] == [201, 201]
        # The clips of a request are erased by the sender's id, too; and nobody else's are.
        assert client.delete("/v1/recordings/call-42", headers=tenants["b"]).status_code == 404
        erased = client.delete("/v1/recordings/call-42", headers=tenants["a"]).json()
        assert (erased["logged"], erased["feedback"]) == (2, 3)
    assert len(logged(tmp_path)) == 0


def test_a_database_that_is_away_fails_no_answer_and_is_used_once_it_is_back(
    start: Start, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "away.db"
    in_the_way.mkdir()
    _, url = start(MOODLINE_FEEDBACK_URL=f"sqlite:///{in_the_way}")
    with httpx.Client(base_url=url) as client:
        name = classify(client, url, [wav(1)], ["hello"]).json()["request_id"]
        assert client.delete(f"/v1/recordings/{name}").status_code == 503
        in_the_way.rmdir()
        while not in_the_way.exists() or not len(logged(tmp_path, "away.db")):
            answer = classify(client, url, [wav(1)], ["hello"])
            assert answer.status_code == 200
        erased = client.delete(f"/v1/recordings/{answer.headers['x-request-id']}")
        assert (erased.status_code, erased.json()["logged"]) == (200, 1)
    assert len(logged(tmp_path, "away.db")) == 0


def test_an_answer_of_the_canary_is_logged_as_such(
    start: Start, models: dict[int, Path], tmp_path: Path
) -> None:
    roles = {"production": Served(4, models[4]), "staging": Served(3, models[3])}
    write_pointer(tmp_path / "served.json", Lineup(roles))
    _, url = start(MOODLINE_TRAFFIC_CANARY_SHARE="1")
    with httpx.Client() as client:
        assert classify(client, url, [wav(1)], ["hello"]).status_code == 200
    (row,) = logged(tmp_path).to_pylist()
    assert (row["version"], row["alias"]) == (3, "staging")


def test_a_service_that_is_killed_loses_no_answer(start: Start, tmp_path: Path) -> None:
    """SIGKILL in the middle of 1,000 requests of 8 clients."""
    child, url = start()
    clip = wav(3, 0.2)
    answered: list[str] = []

    def work(_: int) -> None:
        with httpx.Client() as client:
            while len(answered) < 1000:
                response = classify(client, url, [clip], ["hello"])
                if response.status_code == 200:
                    answered.append(response.headers["x-request-id"])
                if len(answered) == 700:
                    child.kill()

    with ThreadPoolExecutor(8) as pool:
        outcomes = [future.exception() for future in [pool.submit(work, n) for n in range(8)]]
    assert all(isinstance(outcome, httpx.TransportError) for outcome in outcomes)
    assert len(answered) >= 700
    found = logged(tmp_path)["request_id"].to_pylist()
    assert len(found) == len(set(found))
    assert set(answered) <= set(found)
    assert len(set(found) - set(answered)) <= 8  # logged, but their clients got no answer
