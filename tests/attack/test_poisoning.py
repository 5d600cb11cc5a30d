"""Poisoned feedback, end to end: over HTTP, into the trigger, and out again.

Somebody without a key flips every label of what the service answered, under invented authors and as
a reviewer. The model's answers come from no model here: only whether they are contradicted counts.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from components.config import Settings
from components.conversation import DEFAULT_LABELS, Turn, read_manifest
from components.fusion import turn_measures
from pipelines.cli.main import run
from pipelines.runners.request import RetrainRequest
from pipelines.trigger import PID, Cause, start_here
from serving.engine.classified import Classified
from serving.engine.prediction_log import LogSettings, PredictionLog, RequestInfo
from tests.serving.helpers import start_log_service

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

RECORDINGS, TURNS = 6, 15
CAUSE = Cause("alert:ab12", "alert", "MoodlineAccuracy", "It is wrong", "http://prometheus/graph")


def emotion_of(turn: int) -> str:
    """What the service answered."""
    return DEFAULT_LABELS[turn % len(DEFAULT_LABELS)]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service that has answered about six recordings, whose sound it keeps."""
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path))
    log = PredictionLog(tmp_path / "log", Settings().feedback_url, LogSettings(audio=True))
    sound = np.random.default_rng(1).normal(0, 0.1, TURNS * 16_000).astype("f4")
    answer = Classified(
        np.full((TURNS, 4), 0.25), np.zeros((TURNS, 8), "f4"), 3, DEFAULT_LABELS, "production"
    )
    measures = [turn_measures(sound[:16_000], "hello")] * TURNS
    for number in range(RECORDINGS):
        turns = [
            Turn(f"call-{number}", float(n), n + 1.0, "A", "hello").answered(
                [0.7 if emotion == emotion_of(n) else 0.1 for emotion in DEFAULT_LABELS],
                DEFAULT_LABELS,
            )
            for n in range(TURNS)
        ]
        log.record(RequestInfo(f"r{number}", "/v1/analyze"), f"call-{number}", answer, turns,
                   measures, sound)  # fmt: skip
    asyncio.run(log.close())
    child, address = start_log_service(tmp_path)
    yield address
    child.terminate()
    child.wait(60)


def triggered(number: int) -> dict[str, str]:
    """What the trigger notes of a run; the run itself ends at once, for want of models."""
    usual = RetrainRequest(corpus=Path("corpus"))
    folder = Path(start_here(CAUSE, number, usual=usual, profile="tiny", settings=Settings()))
    until = time.monotonic() + 120
    while (folder / PID).exists() and time.monotonic() < until:
        time.sleep(0.1)
    content: dict[str, str] = json.loads((folder / "cause.json").read_text())
    return content


def test_flipped_labels_are_held_and_dropped_and_honest_ones_trained_on(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(number: int, turn: int, emotion: str) -> int:
        body = {"request_id": f"r{number}", "turn": turn, "emotion": emotion,
                "source": "reviewer", "author": f"invented-{number}-{turn}"}  # fmt: skip
        return client.post("/v1/feedback", json=body).status_code

    with httpx.Client(base_url=url, timeout=60) as client:
        every = [(number, turn) for number in range(RECORDINGS) for turn in range(TURNS)]
        flipped = [say(number, turn, emotion_of(turn + 1)) for number, turn in every]
        assert set(flipped) == {201}
        cause = triggered(1)
        assert cause["feedback"] is None
        assert "all feedback is held for a person (90 entries" in cause["note"]
        capsys.readouterr()
        assert run(["feedback", "review", "--json"]) == 0
        (held,) = json.loads(capsys.readouterr().out)
        told = (held["origin"], held["labels"], held["contradictions"], held["recordings"])
        assert told == ("no key", 90, 90, RECORDINGS)
        assert run(["feedback", "review", "--drop", "web"]) == 2
        assert run(["feedback", "review", "--drop", "no key"]) == 0
        assert "Dropped: 90 entries" in capsys.readouterr().out

        honest = [say(number, turn, emotion_of(turn + (turn % 3 == 0))) for number, turn in every]
        assert set(honest) == {201}
        cause = triggered(2)
        assert cause["note"] == "90 labelled turns of 6 recordings"
        assert len(read_manifest(Path(cause["feedback"]))) == RECORDINGS
