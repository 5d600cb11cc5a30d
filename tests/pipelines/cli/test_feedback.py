"""`moodline feedback` as a person gives its commands: what is held, accepted, dropped, capped."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from components.config import Settings, load_profile
from components.conversation import (
    DEFAULT_LABELS,
    FEEDBACK,
    Recording,
    Turn,
    Utterance,
    read_manifest,
    write_manifest,
)
from components.fusion import turn_measures
from components.traffic import Correction, FeedbackStore
from pipelines.cli.main import run
from serving.engine.classified import Classified
from serving.engine.prediction_log import LogSettings, PredictionLog, RequestInfo
from tests.serving.helpers import wait_until

ROOT = Path(__file__).resolve().parents[3]
TURNS = 30
MODELS = load_profile("demo").models
Say = Callable[..., None]
Told = Callable[..., Any]


def emotion_of(turn: int) -> str:
    """What the service answered."""
    return DEFAULT_LABELS[turn % len(DEFAULT_LABELS)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose service has answered about one recording, and kept its sound."""
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    settings = Settings()
    log = PredictionLog(settings.log, settings.feedback_url, LogSettings(audio=True))
    sound = np.random.default_rng(1).normal(0, 0.1, TURNS * 16_000).astype("f4")
    rows = [[0.7 if e == emotion_of(n) else 0.1 for e in DEFAULT_LABELS] for n in range(TURNS)]
    turns = [
        Turn("call", float(n), n + 1.0, "A", "hello").answered(row, DEFAULT_LABELS)
        for n, row in enumerate(rows)
    ]
    answer = Classified(np.array(rows), np.zeros((TURNS, 8), "f4"), 3, DEFAULT_LABELS, "production")
    measures = [turn_measures(sound[:16_000], "hello")] * TURNS
    log.record(RequestInfo("r", "/v1/analyze"), "call", answer, turns, measures, sound)
    asyncio.run(log.close())
    return settings.home


@pytest.fixture
def say(home: Path) -> Say:
    """A key says something of turns: the model's own emotion, or another one."""

    def record(key: str, *turns: int, right: bool = False) -> None:
        with closing(FeedbackStore(Settings().feedback_url)) as store:
            for turn in turns:
                emotion = emotion_of(turn if right else turn + 1)
                store.record(Correction("r", turn, emotion, "agent", key, key))

    return record


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """What a command prints as JSON."""

    def ask(*command: str) -> Any:
        capsys.readouterr()
        assert run([*command, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def test_what_was_seen_is_accepted_and_what_came_since_stays_held(
    say: Say, told: Told, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    say("bad", *range(22))
    say("good", *range(22), right=True)
    (one,) = told("feedback", "review")
    assert (one["origin"], one["labels"], one["contradictions"]) == ("bad", 22, 22)
    assert run(["feedback", "review"]) == 0
    table = capsys.readouterr().out
    assert one["seen"] in table and "good" not in table
    say("bad", 22, 23, 24)  # after the person looked
    assert run(["feedback", "review", "--accept", "bad"]) == 2
    assert "--accept and --seen go together; look first" in capsys.readouterr().err
    assert run(["feedback", "review", "--accept", "bad", "--seen", "0" * 12]) == 2
    assert "is not what waits of bad; look again" in capsys.readouterr().err
    assert run(["feedback", "review", "--accept", "good", "--seen", one["seen"]]) == 2
    assert "nothing of this key is held; held is: 'bad'" in capsys.readouterr().err

    accept = ("feedback", "review", "--accept", "bad", "--seen")
    accepted = {"key": "bad", "accepted": 22, "since": 3, "held": True}
    assert told(*accept, one["seen"]) == accepted
    export = told("feedback", "export", "-o", str(tmp_path / "out"))
    assert (export["turns"], export["held"]) == (22, 3)
    (again,) = told("feedback", "review")
    assert again["labels"] == 3
    say("bad", 25)
    capsys.readouterr()
    assert run([*accept, again["seen"]]) == 0
    printed = capsys.readouterr()
    assert "Accepted: 3 entries of bad." in printed.out
    assert "1 came since you looked, and stay held" in printed.out + printed.err


def test_what_is_held_is_dropped_and_the_rest_stays(
    say: Say, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    say("bad", *range(22))
    say("good", *range(5), right=True)
    assert run(["feedback", "review", "--drop", "good"]) == 2
    assert run(["feedback", "review", "--drop", "bad", "--accept", "bad"]) == 2
    assert told("feedback", "review", "--drop", "bad") == {"key": "bad", "dropped": 22}
    assert told("feedback", "review") == []
    assert {entry.voter for entry in FeedbackStore.read(Settings().feedback_url)} == {"good"}
    assert run(["feedback", "review"]) == 0
    assert "Nothing is held." in capsys.readouterr().out


def test_feedback_is_dropped_by_author_request_and_time(
    say: Say, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    say("kim", 0, 1)
    say("lee", 1)
    for nothing in (["--author", "ann"], ["--request", "other"], ["--author", "kim", "--request",
                    "other"], ["--since", "2100-01-01"]):  # fmt: skip
        assert run(["feedback", "drop", *nothing]) == 2
        assert "there is no such feedback" in capsys.readouterr().err
    assert run(["feedback", "drop"]) == 2
    assert "name what to drop: --author, --request or --since" in capsys.readouterr().err
    assert run(["feedback", "drop", "--since", "yesterday"]) == 2
    assert "--since yesterday: name a day as 2026-05-12" in capsys.readouterr().err
    assert told("feedback", "drop", "--author", "kim", "--since", "1d") == {"dropped": 2}
    assert run(["feedback", "drop", "--request", "r"]) == 0
    assert "Dropped: 1 entries of feedback." in capsys.readouterr().out
    assert FeedbackStore.read(Settings().feedback_url) == []


@pytest.mark.parametrize(("share", "kept"), [("0.2", 2), ("", 10)])
def test_no_key_gives_more_than_its_share_of_the_labels(
    share: str, kept: int, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is stopped once it has chosen what to train on."""
    if share:
        monkeypatch.setenv("MOODLINE_FEEDBACK_SHARE", share)
    say("loud", *range(20), right=True)
    say("quiet", 20, 21, right=True)
    out, audio = tmp_path / "out", tmp_path / "week.flac"
    assert run(["feedback", "export", "-o", str(out)]) == 0
    soundfile.write(audio, np.zeros(16_000 * 8), 16_000)
    spoken = [
        Utterance(f"week_{n}", "week", float(n), n + 1.0, "week_A", None, "", "sad")
        for n in range(8)
    ]
    write_manifest(tmp_path / "corpus", [Recording("week", audio, "1", None, tuple(spoken))])
    for model in MODELS:
        (Settings().models / model).mkdir(parents=True)
    corpus = ["--corpus", str(tmp_path / "corpus"), "--feedback", str(out)]
    command = [Path(sys.executable).with_name("moodline"), "retrain", *corpus]
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(command, stderr=log, cwd=ROOT, start_new_session=True)
    try:
        cache = Settings().cache
        joined = wait_until(lambda: bool([*cache.glob("corpora/*/*/manifest.jsonl")]), 60)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    told = (tmp_path / "log").read_text()
    assert joined, told
    (manifest,) = cache.glob("corpora/*/*/manifest.jsonl")
    recordings = read_manifest(manifest.parent)
    came_back = [r for r in recordings if r.fold == FEEDBACK]
    starts = [utterance.start for r in came_back for utterance in r.utterances]
    assert sum(start < 20 for start in starts) == kept
    assert sum(start >= 20 for start in starts) == 2
    assert f"{20 - kept} of 20 labels of loud are left out: one source gives at most" in " ".join(
        told.split()
    )
