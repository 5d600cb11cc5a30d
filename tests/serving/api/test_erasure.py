"""Erasing erases: nothing of a recording is left in the whole home, by whichever way."""

import asyncio
import json
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from components.base import Cache
from components.config import Settings
from components.conversation import (
    DEFAULT_LABELS,
    Recording,
    Turn,
    Utterance,
    read_manifest,
    recording_name,
    work_through,
    write_documents,
    write_manifest,
)
from components.corpus import join_feedback
from components.fusion import turn_measures
from components.traffic import (
    Copies,
    Correction,
    FeedbackStore,
    KeyMissingError,
    export_feedback,
)
from pipelines.cli.main import run
from serving.api.job_store import JobStore, new_id
from serving.api.jobs import Jobs
from serving.api.uploads import UploadFolder
from serving.database import ServiceDatabase
from serving.engine.classified import Classified
from serving.engine.prediction_log import LogSettings, PredictionLog, RequestInfo
from serving.engine.runtime import Runtime
from serving.settings import ServeSettings

SECRET = "the parcel never arrived and nobody called me"


class Home:
    """A home whose service and loop have worked on recordings, each under its file's name."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.settings, serve = folder, Settings(home=folder), ServeSettings()
        self.database = ServiceDatabase(serve.store_url(folder))
        self.store = JobStore(self.database)
        self.uploads = UploadFolder(serve.shared_folder(folder))
        self.copies = Copies(self.settings.runs, self.settings.cache)
        allowed = LogSettings(text=True, audio=True)
        self.log = PredictionLog(self.settings.log, self.settings.feedback_url, allowed)
        runtime: Any = SimpleNamespace(turns=self.log.turns, copies=self.copies)
        self.jobs = Jobs(self.store, self.uploads, runtime, serve)

    def fill(self, name: str) -> None:
        """Jobs, log, sound, feedback, the trigger's copies, caches."""
        for recording in (name, "kept"):
            said = f"{SECRET} in {recording}"
            done, queued = new_id(), new_id()
            for job in (done, queued):
                self.uploads.put(job, self._upload(said))
                self.store.add_job(job, "", recording, {"session_id": recording}, 100)
                self.store.queue(job)
                if job == done:
                    self.store.claim("process", 60)
                    self.store.finish(job, "process", {"words": said})
            self.answer(recording, said)
            with closing(FeedbackStore(self.settings.feedback_url)) as store:
                store.record(Correction(f"to-{recording}", 0, "sad", "reviewer"))
        self._retrain()

    def answer(self, recording: str, said: str) -> None:
        turn = Turn(recording, 0.0, 1.0, "A", said).answered([0.1, 0.7, 0.2, 0.0], DEFAULT_LABELS)
        sound = np.random.default_rng(1).normal(0, 0.1, 16_000).astype("f4")
        answer = Classified(
            np.full((1, 4), 0.25), np.zeros((1, 8), "f4"), 3, DEFAULT_LABELS, "production"
        )
        info = RequestInfo(f"to-{recording}", "/v1/analyze")
        self.log.record(info, recording, answer, [turn], [turn_measures(sound, said)], sound)

    def _upload(self, said: str) -> Any:
        path = self.folder.parent / "upload"
        path.write_text(said)
        return path.open("rb")

    def _retrain(self) -> None:
        """What the trigger and the steps of its run leave; the steps' models are left out."""
        run = self.settings.runs / "trigger-000001"
        entries = FeedbackStore.read(self.settings.feedback_url)
        export_feedback(entries, self.settings.log, run / "feedback")
        sound = self.folder.parent / "labelled.flac"
        soundfile.write(sound, np.zeros(16_000), 16_000)
        spoken = [
            Utterance(f"call_{n}", "call", n / 4, n / 4 + 0.25, "A", None, "", "sad")
            for n in (0, 1)
        ]
        labelled = Recording("call", sound, "week-1", None, tuple(spoken))
        write_manifest(self.folder.parent / "corpus", [labelled])
        cache = Cache(self.settings.cache)
        joined = read_manifest(
            join_feedback(self.folder.parent / "corpus", run / "feedback", cache)
        )

        def words(recording: Recording) -> str:
            return f"{SECRET} in {recording.name.removeprefix('feedback-to-')}"

        def make(recording: Recording, _: object) -> dict[str, str]:
            return {"transcripts": json.dumps({"text": words(recording)})}

        made = work_through(
            joined, ["transcripts"], lambda r: [r.name], make, suffix=".json", cache=cache
        )
        write_documents(run / "step" / "transcripts", made)
        rows = [{"recording": r.name, "text": words(r)} for r in joined]
        pq.write_table(pa.Table.from_pylist(rows), run / "step" / "examples")

    def close(self) -> None:
        asyncio.run(self.log.close())
        self.database.close()

    def holds(self, text: str) -> list[str]:
        """The files whose name or content has it: databases with their write-ahead logs, too."""
        found = []
        for path in self.folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                if content.startswith(b"PAR1"):  # a step's output has no suffix
                    content = str(pq.ParquetFile(path).read().to_pylist()).encode()
                if text.encode() in content or text in path.name:
                    found.append(path.relative_to(self.folder).as_posix())
        return sorted(found)


@pytest.mark.parametrize("by", ["the service", "the command line"])
def test_nothing_is_left_in_the_whole_home(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home")
    home.fill("zoom_call")
    secret, sound = f"{SECRET} in zoom_call", "to-zoom_call"
    places = {path.split("/")[0] for path in home.holds(secret)}
    assert {"serving", "runs", "cache"} < places
    assert len(home.holds(sound)) > 8
    kept = home.holds(f"{SECRET} in kept"), home.holds("to-kept")
    name = "calls/zoom call.MOV"
    counts = {"jobs": 2, "logged": 2, "feedback": 1, "under_way": 0}
    if by == "the service":
        assert home.log.recording("zoom_call") in {
            *home.log.turns.window()["recording"].to_pylist()
        }
        erased = asyncio.run(home.jobs.erase(name, ""))
        assert erased.counts() | counts == erased.counts()
        assert not asyncio.run(home.jobs.erase(name, ""))
    else:  # beside the service, which goes on
        assert run(["log", "erase", name, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told | counts == told
        assert run(["log", "erase", name]) == 2
        assert "nothing is kept of a recording of that name" in capsys.readouterr().err
    assert home.holds(secret) == []
    assert home.holds(sound) == []
    assert home.holds("zoom_call") == []
    rest = home.holds(f"{SECRET} in kept"), home.holds("to-kept")
    for before, after in zip(kept, rest, strict=True):
        databases = {path for path in before if ".db" in path}
        assert {*before} - databases <= {*after}
    home.close()


@pytest.mark.parametrize("name", ["obs.mkv", "a b;c$d.wav", "Zoë.2026.MP4", "notes.xyz", "call.v2"])
def test_a_file_of_any_suffix_is_erased_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home")
    recording = recording_name(name)
    home.store.add_job("a" * 32, "", recording, {}, 100)
    assert run(["log", "erase", f"some where/{name}"]) == 0
    home.store.add_job("b" * 32, "", recording, {}, 100)
    assert asyncio.run(home.jobs.erase(name, "")).jobs == ("b" * 32,)
    home.close()


def test_an_unknown_name_makes_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    assert run(["log", "erase", "never was"]) == 2
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_log_whose_folder_is_elsewhere_is_not_overlooked(
    kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The turns are in a database, and the key to recordings' names is in the service's folder."""
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/feedback.db"
    else:
        url = request.getfixturevalue("database")(f"erasure-{new_id()[:8]}")
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MOODLINE_FEEDBACK_URL", url)
    assert run(["log", "erase", "zoom_call"]) == 2
    assert "nothing is kept of a recording of that name" in capsys.readouterr().err
    monkeypatch.setenv("MOODLINE_LOG", str(tmp_path / "log"))
    home = Home(tmp_path / "home")
    home.fill("zoom_call")
    unfinished = home.store.unfinished()
    monkeypatch.delenv("MOODLINE_LOG")  # as where the command is given on another machine
    assert run(["log", "erase", "zoom_call"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("home/log/key: is not there") == 1
    assert "set MOODLINE_LOG to the folder of the service's log" in told
    monkeypatch.setenv("MOODLINE_LOG_ON", "false")
    runtime = Runtime(Settings(), ServeSettings())
    elsewhere = Jobs(home.store, home.uploads, runtime, ServeSettings())
    with pytest.raises(KeyMissingError) as refused:
        asyncio.run(elsewhere.erase("zoom_call", ""))
    assert str(tmp_path) not in refused.value.answer  # what the sender reads
    asyncio.run(runtime.stop())
    assert not (tmp_path / "home" / "log").exists()
    assert len(home.log.turns.window()) == 2
    assert home.store.unfinished() == unfinished  # nothing of it was erased
    monkeypatch.setenv("MOODLINE_LOG", str(tmp_path / "log"))
    assert run(["log", "erase", "zoom_call", "--json"]) == 0
    told_counts = json.loads(capsys.readouterr().out)
    assert told_counts | {"jobs": 2, "logged": 2, "feedback": 1} == told_counts
    assert len(home.log.turns.window()) == 1
    home.close()


def test_a_service_whose_key_is_gone_logs_nothing_and_makes_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With another key, an erasure would find nothing, and say so, while all is still kept."""
    home = Home(tmp_path / "home")
    home.fill("zoom_call")
    home.close()
    (home.settings.log / "key").rename(tmp_path / "key")
    for _ in range(2):
        caplog.clear()
        home = Home(tmp_path / "home")
        assert caplog.text.count("home/log/key: is not there") == 1
        home.answer("new_call", SECRET)
        assert set(home.log.turns.window()["request_id"].to_pylist()) == {"to-zoom_call", "to-kept"}
        with pytest.raises(KeyMissingError):
            home.log.asker("", "zoom_call")
        with pytest.raises(KeyMissingError):
            asyncio.run(home.jobs.erase("zoom_call", ""))
        home.close()
    home = Home(tmp_path / "home")
    (tmp_path / "key").rename(home.settings.log / "key")
    home.answer("new_call", SECRET)
    assert "to-new_call" in home.log.turns.window()["request_id"].to_pylist()
    assert asyncio.run(home.jobs.erase("zoom_call", "")).turns.logged == 2
    home.close()
