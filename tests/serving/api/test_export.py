"""Turns written anew: what was corrected is in every format; what is no turn is named."""

import json
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from components.conversation import parse_rttm, parse_turns
from serving.api.app import create_app

SHARES = {"calm": 0.2, "glad": 0.8}
TURNS = [
    {"session_id": "my call", "start_time": 0.5, "end_time": 2.0, "speaker": "A",
     "words": "Hello <b>you</b> --> &", "emotion": "calm", "probabilities": SHARES, "mine": 1},
    {"session_id": "my call", "start_time": 1.5, "end_time": 3.0, "speaker": "B B", "words": "Oh."},
]  # fmt: skip


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app(10_000_000, 4), raise_server_exceptions=False)


def export(client: TestClient, kind: str, turns: Any = TURNS, **more: Any) -> httpx.Response:
    return client.post("/v1/export", json={"turns": turns, "format": kind, **more})


def test_each_format_holds_the_turns(client: TestClient) -> None:
    (first, second) = parse_turns(export(client, "json").text, "the answer")
    assert (first.words, first.emotion, second.emotion) == (TURNS[0]["words"], "calm", None)
    spans = parse_rttm(export(client, "rttm").text, "the answer")["my_call"]
    assert [(s.start, s.end, s.speaker) for s in spans] == [(0.5, 2.0, "A"), (1.5, 3.0, "B_B")]
    vtt = export(client, "vtt")
    assert vtt.headers["content-type"].startswith("text/vtt")
    assert "<v A>[calm] Hello &lt;b&gt;you&lt;/b&gt;" in vtt.text
    assert "00:00:01,500 --> 00:00:03,000\nB B: Oh." in export(client, "srt").text


def test_the_page_needs_nothing_and_runs_nothing(client: TestClient) -> None:
    page = export(client, "html")
    assert page.headers["content-type"].startswith("text/html")
    assert "Hello &lt;b&gt;you&lt;/b&gt;" in page.text
    assert [bad for bad in ("<script", "http:", "https:", "src=") if bad in page.text] == []


def test_where_nobody_speaks_there_is_an_empty_file_of_that_name(client: TestClient) -> None:
    assert export(client, "rttm", []).text == ""
    assert "quiet one" in export(client, "html", [], session_id="quiet one").text
    assert json.loads(export(client, "json", []).text) == []


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ({"turns": TURNS, "format": "doc"}, 422, "“format”"),
        ({"turns": [{}], "format": "vtt"}, 422, "turn 0: lacks 'session_id'"),
        ({"turns": [TURNS[0] | {"end_time": 0.1}], "format": "vtt"}, 422, "turn 0"),
        ({"turns": "none", "format": "vtt"}, 422, "“turns”"),
        ({"format": "vtt"}, 422, "“turns”"),
    ],
)
def test_what_is_no_turn_is_named(
    client: TestClient, sent: dict[str, Any], status: int, words: str
) -> None:
    answer = client.post("/v1/export", json=sent)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
