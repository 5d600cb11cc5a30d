"""The prediction log, feedback, jobs and served versions of a home of version 0.1."""

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.config import Settings
from components.conversation import DEFAULT_LABELS, read_manifest
from components.traffic import FeedbackStore, TurnLog
from pipelines.cli.main import run
from serving.api.job_store import JobStore
from serving.api.jobs import Jobs, UploadFolder
from serving.database import ServiceDatabase
from serving.engine.analysis import Analysis
from serving.engine.canary import read_halt
from serving.engine.options import Options
from serving.engine.runtime import Result
from serving.lineup import read_pointer
from serving.settings import ServeSettings
from tests.serving.helpers import start_log_service, wait_until

KEY = {"authorization": "Bearer a key of the stored home"}

Json = Callable[..., Any]

FOUR = {"labels": list(DEFAULT_LABELS)}
"""What that version did not note: it knew no other labels."""

TURN = FOUR | {"uncertain": None}
"""Nor did it note of a turn whether its answer was marked as uncertain."""


def logged(home: Path) -> Any:
    with closing(TurnLog(home / "log", Settings().feedback_url)) as log:
        return log.window()


def plain(value: Any) -> Any:
    """As JSON holds it."""
    return json.loads(json.dumps(value, default=str))


def test_the_log_is_read_whole(home: Path, moodline: Json, expected: dict[str, Any]) -> None:
    """Rolled up and in journals, with and without embeddings; and the erased stays erased."""
    rows = plain(logged(home).to_pylist())
    assert rows == [row | TURN for row in expected["turns"]]
    assert {row["request_id"] for row in rows if "call-3" in row["request_id"]} == {
        "to-call-3-later"
    }
    spoken = [row for row in rows if row["turn"] is not None]

    def window(*options: str) -> tuple[int, int]:
        found = moodline("drift", *options)
        return found["turns"], found["recordings"]

    def counted(rows: list[dict[str, Any]]) -> tuple[int, int]:
        return len(rows), len({row["recording"] for row in rows})

    every = ("--window", "all", "--version")
    assert window(*every, "production") == counted([r for r in spoken if r["version"] == 2])
    assert window(*every, str(home / "serving" / "models" / "3")) == counted(spoken) == (22, 9)
    day = ("--window", "1d", "--until", "2026-11-22T00:00:00", "--version", "production")
    (one, *_) = moodline("drift", *day)["live"]
    assert window(*day) == (10, 4)
    assert one == "2"


def test_what_was_logged_can_be_erased(home: Path, moodline: Json) -> None:
    """A recording of a journal, of a Parquet file, with sound, of a key, of an odd name."""
    erased = {
        ("call-1",): (4, 4),
        ("call-1", "--owner", "web"): (2, 1),
        ("my call (1).wav",): (3, 1),
        ("call-3.wav",): (1, 0),
        ("call-5",): (3, 1),
        ("clip",): (2, 0),
        ("silence",): (2, 0),
    }
    for name, counts in erased.items():
        done = moodline("log", "erase", *name)
        assert (done["logged"], done["feedback"]) == counts, name
        assert run(["log", "erase", *name]) == 2
    rest = logged(home)["request_id"].to_pylist()
    assert set(rest) == {"to-call-2", "to-call-4", "to-call-6"}
    assert [path.suffix for path in (home / "log" / "audio").rglob("*.*")] == [".flac"]
    assert {e.request_id for e in FeedbackStore.read(Settings().feedback_url)} == {"to-call-4"}


def test_feedback_joins_the_logged_turns(
    home: Path, moodline: Json, tmp_path: Path, expected: dict[str, Any]
) -> None:
    entries = [asdict(entry) for entry in FeedbackStore.read(Settings().feedback_url)]
    later = FOUR | {"voter": None, "accepted": False}  # what that version did not note
    assert plain(entries) == [entry | later for entry in expected["feedback"]]
    logged = {(row["request_id"], row["turn"]): row for row in expected["turns"]}
    for entry in plain(entries):
        row = logged[entry["request_id"], entry["turn"]]
        assert (entry["recording"], entry["predicted"]) == (row["recording"], row["emotion"])
    told = moodline("feedback", "show")
    assert told["entries"] == 8
    assert {n: (live["turns"], live["contradicted"]) for n, live in told["live"].items()} == {
        "1": (3, 1),
        "2": (3, 0),
    }
    done = moodline("feedback", "export", "-o", str(tmp_path / "corpus"))
    assert done == {"recordings": 2, "turns": 3, "without_audio": 3, "held": 0}
    labels = {r.name: [u.emotion for u in r.utterances] for r in read_manifest(tmp_path / "corpus")}
    assert labels["feedback-to-call-1"][0] == "happy"  # the reviewer's


class Worker:
    """In place of the speech models: notes what is asked of it."""

    def __init__(self) -> None:
        self.speech = self
        self.asked: list[Options] = []

    def loaded(self) -> bool:
        return True

    async def analyze(self, upload: Any, options: Options, *_: Any, **__: Any) -> Result:
        assert upload.read(4) == b"RIFF"
        self.asked.append(options)
        return Result(3, Analysis(1.0, (), ()), DEFAULT_LABELS)


def test_jobs_that_wait_are_done(home: Path, expected: dict[str, Any]) -> None:
    """One was queued; of the other the process was killed."""
    serve, worker, ids = ServeSettings(), Worker(), expected["jobs"]
    database = ServiceDatabase(serve.store_url(home))
    store = JobStore(database)
    jobs = Jobs(store, UploadFolder(serve.shared_folder(home)), worker, serve)  # type: ignore[arg-type]

    async def scene() -> None:
        jobs.start()
        await asyncio.to_thread(wait_until, lambda: not store.unfinished(), 20)
        await jobs.stop()

    asyncio.run(scene())
    assert worker.asked == [Options("killed"), Options("waits", 2, 1.0, True)]
    for name, owner in (("running", ""), ("queued", "web")):
        job = store.job(ids[name], owner)
        assert job is not None and job.state == "done"
    database.close()
    assert not list((serve.shared_folder(home) / "uploads").iterdir())


@pytest.mark.servers
def test_the_service_finds_all_of_it(home: Path, expected: dict[str, Any], moodline: Json) -> None:
    ids = expected["jobs"]
    child, url = start_log_service(
        home,
        MOODLINE_SERVE_KEYS=str(home / "keys.txt"),
        MOODLINE_SERVE_POINTER=str(home / "serving" / "served-3000.json"),
    )
    try:
        with httpx.Client(base_url=url, headers=KEY, timeout=60) as client:
            assert httpx.get(f"{url}/v1/model").status_code == 401
            model = client.get("/v1/model").json()
            assert (model["version"], model["alias"], model["verdict"]) == (
                "2", "production", "pass",
            )  # fmt: skip
            assert model["digest"] == expected["versions"][1]["digest"]
            job = client.get(f"/v1/jobs/{ids['finished']}").json()
            assert (job["state"], job["recording"]) == ("done", "finished")
            assert [turn["words"] for turn in job["result"]["turns"]] == ["yes good"]
            assert job["result"]["words"][0]["word"] == "yes"
            assert client.get(f"/v1/jobs/{ids['queued']}").json()["state"] == "queued"
            assert client.get(f"/v1/jobs/{ids['broken']}").status_code == 404  # another's

            def say(request: str, turn: int, recording: str) -> int:
                body = {"request_id": request, "turn": turn, "emotion": "sad"}
                body |= {"recording": recording}
                return client.post("/v1/feedback", json=body).status_code

            # That version did not note keys: whose an answer is, the recording's name shows.
            assert [say("to-call-4", 0, "call-4"), say("to-call-5", 1, "call-5.wav")] == [201, 201]
            assert [say("to-call-4", 0, ""), say("to-call-4", 0, "call-5")] == [404, 404]
            assert say("to-web-call-1", 1, "call-1") == 201
            assert say("to-call-3", 0, "call-3") == 404
            erased = client.delete("/v1/recordings/waits").json()
            assert (erased["jobs"], erased["logged"]) == (1, 0)
            erased = client.delete("/v1/recordings/call-1").json()
            assert (erased["jobs"], erased["logged"]) == (0, 2)
    finally:
        child.terminate()
        child.wait(60)
    rest = [row | TURN for row in expected["turns"] if row["request_id"] != "to-web-call-1"]
    assert plain(logged(home).to_pylist()) == rest
    assert moodline("feedback", "show")["entries"] == 8 - 1 + 2  # web's own went with its recording


def test_what_was_served_is_known(home: Path) -> None:
    pointer = home / "serving" / "served-3000.json"
    lineup = read_pointer(pointer)
    assert {n: s.folder.is_dir() for n, s in lineup.versions().items()} == {2: True, 3: True}
    assert (lineup.staging and lineup.staging.version) == 3
    assert lineup.refused == {1: "it answers otherwise"}
    halt = read_halt(pointer.with_suffix(".halt.json"))
    assert halt is not None and halt.version == 3
