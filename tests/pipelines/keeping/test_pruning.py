"""`moodline runs prune` and `moodline registry prune`, as people run them."""

import json
import os
import shutil
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from components.base import Event, Unavailable, Url
from components.config import Settings, load_profile
from pipelines.cli.main import run
from pipelines.keeping import plan_runs, prune_runs
from pipelines.runners.local import PipelineRun, run_pipeline
from pipelines.trigger import PID, Cause, Ledger, Policy, Trigger
from tests.components.base.objects import object_store
from tests.components.register.stores import BUCKET
from tests.pipelines.keeping.conftest import add_version

MONTH = 31 * 86_400.0
TINY = Path(__file__).parents[1] / "runners"


def aged(*paths: Path) -> None:
    """Let files, and all below folders, be last used a month ago."""
    then = time.time() - MONTH
    for path in paths:
        for each in [*path.rglob("*"), path]:
            os.utime(each, (then, then))


def made_run(settings: Settings, name: str, version: int = 0, takes: Path | None = None) -> Path:
    """What a run leaves: a file of an artifact, and where its artifacts lie."""
    folder = settings.runs.resolve() / name
    folder.mkdir(parents=True)
    (folder / "turns").write_bytes(b"x" * 1000)
    outputs: dict[str, Any] = {
        "align": {"parameters": {}, "artifacts": {"turns": str((takes or folder) / "turns")}},
        "register": {"parameters": {"Output": version}, "artifacts": {}},
    }
    (folder / "outputs.json").write_text(json.dumps(outputs))
    aged(folder)
    return folder


def kept(settings: Settings, **more: Any) -> dict[str, str]:
    """What stays, and why."""
    plan = plan_runs(settings, days=30, **{"versions": {7}, **more})
    return {leftover.path.name: leftover.kept for leftover in plan if leftover.kept}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    return Settings()


def test_the_runs_behind_a_version_stay(settings: Settings) -> None:
    first = made_run(settings, "20260101-000000-000001")
    second = made_run(settings, "20260101-000000-000002", takes=first)
    made_run(settings, "20260101-000000-000003", version=7, takes=second)
    made_run(settings, "20260101-000000-000004", version=6)  # which is registered no more
    killed = made_run(settings, "20260101-000000-000005")
    (killed / "outputs.json").write_text('{"register": {"par')
    aged(killed)
    young = made_run(settings, "20260101-000000-000006")
    (young / "more").touch()
    triggered = made_run(settings, "trigger-000001/20260101-000000-000001", version=7).parent
    aged(triggered)
    named = made_run(settings, "trigger-000002/20260101-000000-000001").parent
    aged(named)
    somebody = settings.runs / "notes"
    somebody.mkdir()
    aged(somebody)
    stays = kept(settings, needed={str(named)})
    assert stays == {
        "20260101-000000-000001": "20260101-000000-000002 took over steps of it",
        "20260101-000000-000002": "20260101-000000-000003 took over steps of it",
        "20260101-000000-000003": "made version 7",
        "20260101-000000-000006": "is younger than 30 days",
        "trigger-000001": "made version 7",
        "trigger-000002": "the trigger needs it",
    }
    gone = prune_runs(settings, days=30, versions={7}, needed={str(named)})
    assert sorted(leftover.path.name[-1] for leftover in gone) == ["4", "5"]
    assert {path.name for path in settings.runs.iterdir()} == {*stays, "notes"}


def test_of_finished_work_the_old_goes(settings: Settings) -> None:
    old = ("transcribe/ab/old.json", "states/of-x/old.npz", "steps/old.json", "corpora/ab/1/a.json")
    used = ("transcribe/cd/read.json", "corpora/ab/2/old.json", "corpora/ab/2/read.json")
    for name in (*old, *used, "old.lock"):
        path = settings.cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 500)
    report = settings.home / "experiments" / "table1" / "report.html"
    report.parent.mkdir(parents=True)
    report.touch()
    aged(settings.cache, report.parent)
    for name in (used[0], used[2]):  # of a folder one file is enough
        read = settings.cache / name
        os.utime(read, (time.time(), read.stat().st_mtime))
    found = {leftover.kind: leftover for leftover in plan_runs(settings, days=30, versions=())}
    assert found["cache"].size == 2000 and not found["experiment"].kept
    prune_runs(settings, days=30, versions=())
    left = {str(p.relative_to(settings.cache)) for p in settings.cache.rglob("*") if p.is_file()}
    assert left == {*used, "old.lock", "runs.lock"}
    assert not report.parent.exists()
    assert plan_runs(settings, days=30, versions=()) == []


def test_what_a_killed_prune_left_is_taken_for_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a folder of a result or a run would be taken for all of it."""
    run = made_run(settings, "20260101-000000-000001")
    corpus = settings.cache / "corpora" / "ab" / "1"
    for name in "ab":
        (corpus / name).mkdir(parents=True)
    aged(settings.cache)

    def half(path: Path) -> None:
        next(iter(sorted(path.iterdir()))).rename(path.parent / "gone")
        raise KeyboardInterrupt

    for path in (run, corpus):
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "rmtree", half)
            with pytest.raises(KeyboardInterrupt):
                prune_runs(settings, days=30, versions=())
        assert not run.exists()
        assert path == run or not corpus.exists()
    prune_runs(settings, days=30, versions=())
    assert [p for p in settings.home.rglob(".pruned-*")] == []


def test_nothing_is_deleted_while_a_run_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TINY))
    old, began, result = made_run(settings, "20260101-000000-000001"), threading.Event(), []

    def go() -> PipelineRun:
        def on_step(event: Event) -> None:
            if event.state == "running":
                began.set()

        name, profile = "tiny_pipeline:tiny_pipeline", load_profile("tiny")
        return run_pipeline(name, profile, {"says": "pass"}, settings, on_step=on_step)

    thread = threading.Thread(target=lambda: result.append(go()))
    thread.start()
    assert began.wait(60)
    with pytest.raises(Unavailable, match="a run goes on here; try again when it has ended"):
        prune_runs(settings, days=30, versions=())
    thread.join()
    assert result and old.exists()
    (gone,) = prune_runs(settings, days=30, versions=())
    assert gone.path == old


def test_the_command_shows_first_and_deletes_when_told(
    home: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """A home with versions 1 to 3: the first is what a rollback goes back to, all have an alias."""

    def says(*arguments: str, status: int = 0) -> str:
        capfd.readouterr()
        assert run([*arguments]) == status, capfd.readouterr().err
        shown = capfd.readouterr()
        return shown.out + shown.err

    assert "stays: is previous" in says("registry", "prune", "--older-than", "0")
    told = says("registry", "prune", "--older-than", "0", "--keep", "1", status=2)
    assert len(told.strip().splitlines()) == 1
    with closing(Ledger(home.trigger_url)) as ledger:
        named = made_run(home, "trigger-000001")
        cause = Cause("data:1", "data", "corpus", "new data")
        Trigger(ledger, lambda cause, number: str(named), Policy(timedelta(0), 9)).fire(cause)
    (made_run(home, "trigger-000002") / PID).touch()  # it goes on when the trigger starts again
    made_run(home, "20260101-000000-000001", version=2)
    old = made_run(home, "20260101-000000-000002", version=9)
    told = says("runs", "prune")
    assert "goes" in told and "Nothing was deleted. With --yes, 1 entries with 0.0 MB go." in told
    assert old.exists()
    deleted = json.loads(says("runs", "prune", "--yes", "--json"))["deleted"]
    assert deleted == [str(old)] and not old.exists()
    assert says("runs", "prune", "--yes").splitlines()[-1].startswith("Deleted 0 entries")


def test_what_copies_without_a_shared_folder_serve_stays(
    home: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Their pointer lies in the store, beside the model repository."""

    def goes() -> list[int]:
        capfd.readouterr()
        assert run(["registry", "prune", "--older-than", "0", "--json"]) == 0
        plan = json.loads(capfd.readouterr().out)["versions"]
        return sorted(fate["number"] for fate in plan if not fate["kept"])

    for seed in (4, 5, 6):
        add_version(home, seed, tmp_path)
    with object_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MOODLINE_MODEL_REPOSITORY", f"s3://{BUCKET}/models")
        assert goes() == [4, 5]
        served: dict[str, Any] = {
            "version": 4,
            "folder": "/elsewhere/4",
            "digest": "aa",
            "verdict": "pass",
        }
        served |= {"signature": "x", "max_samples": 1, "max_tokens": 1}
        pointer = Url(BUCKET, "models/served.json")
        text = json.dumps({"production": served, "refused": {}, "revivals": 0})
        pointer.put_bytes(text.encode())
        assert goes() == [5]
        pointer.put_bytes(b"{")
        assert run(["registry", "prune", "--older-than", "0"]) == 2
