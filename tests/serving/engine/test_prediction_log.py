"""What fails in the prediction log fails no answer: it is counted, and said once."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from components.conversation import DEFAULT_LABELS, Turn
from components.traffic import Copies, ErasedTurns, KeyMissingError, TurnLog
from serving.engine.classified import Classified
from serving.engine.prediction_log import LogSettings, PredictionLog, RequestInfo
from tests.serving.helpers import wait_until

MEASURES = {"duration": 1.0, "words_per_second": 1.0, "loudness_db": -20.0, "snr_db": 30.0}
ASKED = RequestInfo("r", "/v1/analyze")


def answer(log: PredictionLog, sound: np.ndarray | None = None) -> None:
    """Record an answer with one turn."""
    turn = Turn("call", 0.0, 1.0, "A", "hello").answered([0.1, 0.7, 0.2, 0.0], DEFAULT_LABELS)
    classified = Classified(
        np.full((1, 4), 0.25), np.zeros((1, 8), "f4"), 3, DEFAULT_LABELS, "production"
    )
    log.record(ASKED, "call", classified, [turn], [MEASURES], sound)


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Nobody else writes the database until it is rolled back."""
    with closing(sqlite3.connect(path, check_same_thread=False)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield holder


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("moodline_logged_total", {"outcome": outcome}) or 0.0


def test_a_database_that_is_away_is_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "serving")
    in_the_way = tmp_path / "feedback.db"
    in_the_way.mkdir()
    log = PredictionLog(tmp_path / "log", f"sqlite:///{in_the_way}", LogSettings())
    failed, kept = counted("failed"), counted("kept")
    for _ in range(3):
        answer(log)
    assert counted("failed") == failed + 3
    in_the_way.rmdir()
    while counted("kept") == kept:
        answer(log)
        time.sleep(0.05)
    answer(log)
    asyncio.run(log.close())
    at_start, fails, works = (record.getMessage() for record in caplog.records)
    assert at_start.startswith("the prediction log waits: the feedback's database: ")
    assert fails.startswith("answers are not, or not all, in the prediction log: ")
    assert works == "answers are in the prediction log again"
    assert len(TurnLog(tmp_path / "log", f"sqlite:///{in_the_way}").window()) == 2


def test_no_key_is_made_while_the_database_is_away(tmp_path: Path) -> None:
    """It may hold recordings that only the key which is gone can find."""
    path, away = tmp_path / "feedback.db", tmp_path / "away.db"
    log = PredictionLog(tmp_path / "log", f"sqlite:///{path}", LogSettings())
    log.turns.begin("r1", log.recording("call"))
    asyncio.run(log.close())
    (tmp_path / "log" / "key").unlink()
    path.rename(away)
    path.mkdir()
    log = PredictionLog(tmp_path / "log", f"sqlite:///{path}", LogSettings())
    path.rmdir()
    away.rename(path)
    with pytest.raises(KeyMissingError, match="put its key back"):
        log.recording("call")
    asyncio.run(log.close())
    assert not (tmp_path / "log" / "key").exists()


def test_what_an_erasure_could_not_have_reached_is_not_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The database is away while the analysis begins, and back while it goes on."""
    in_the_way = tmp_path / "feedback.db"
    in_the_way.mkdir()
    log = PredictionLog(tmp_path / "log", f"sqlite:///{in_the_way}", LogSettings(audio=True))

    async def scene() -> None:
        async with log.under_way(ASKED, "call"):
            in_the_way.rmdir()
            assert log.turns.erase([log.recording("call")]) == ErasedTurns(0, 0, 0)
            answer(log, np.zeros(1600, "f4"))
        assert "not all, in the prediction log: an erasure would not reach it" in caplog.text
        assert len(log.turns.window()) == len(list(tmp_path.rglob("*.flac"))) == 0
        while not len(log.turns.window()):  # the database is found again
            async with log.under_way(ASKED, "call"):
                answer(log)
            await asyncio.sleep(0.05)
        await log.close()

    asyncio.run(scene())


@pytest.mark.parametrize("late", ["during the analysis", "after it"])
def test_a_mark_that_is_late_is_taken_away(
    tmp_path: Path, late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.engine.prediction_log.MAX_WAIT", 0.3)
    path = tmp_path / "feedback.db"
    log = PredictionLog(tmp_path / "log", f"sqlite:///{path}", LogSettings())
    recording = log.recording("call")

    def marks() -> int:
        with closing(sqlite3.connect(path)) as reader:
            return int(reader.execute("SELECT count(*) FROM moodline_under_way").fetchone()[0])

    async def scene() -> None:
        with locked(path) as holder:
            async with log.under_way(ASKED, "call"):
                if late == "during the analysis":
                    holder.rollback()
                    assert await asyncio.to_thread(wait_until, lambda: marks() == 1, 20)
                    assert log.turns.erase([recording]) == ErasedTurns(0, 0, 1)
                answer(log)
            holder.rollback()
            while log._endings:
                await asyncio.sleep(0.05)
        assert marks() == 0
        assert len(log.turns.window()) == 0
        await log.close()

    asyncio.run(scene())


def test_an_end_that_fails_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    log = PredictionLog(tmp_path / "log", f"sqlite:///{path}", LogSettings())

    async def scene() -> None:
        with closing(sqlite3.connect(path)) as other:
            async with log.under_way(ASKED, "call"):
                assert log.turns.erase([log.recording("call")]).under_way == 1
                answer(log)
                other.execute("CREATE TRIGGER no BEFORE DELETE ON moodline_under_way "
                              "BEGIN SELECT RAISE(ABORT, 'no'); END")  # fmt: skip
            assert len(log.turns.window()) == 1
            other.execute("DROP TRIGGER no")
        while log._endings:
            await asyncio.sleep(0.05)
        assert len(log.turns.window()) == 0
        await log.close()

    asyncio.run(scene())


def test_an_erasure_reaches_an_analysis_though_no_sound_can_be_kept(tmp_path: Path) -> None:
    log = PredictionLog(
        tmp_path / "log", f"sqlite:///{tmp_path}/feedback.db", LogSettings(audio=True)
    )
    (tmp_path / "log" / "audio").write_text("in the way")

    async def scene() -> None:
        for erased in (False, True):
            async with log.under_way(ASKED, "call"):
                if erased:
                    assert log.turns.erase([log.recording("call")]) == ErasedTurns(1, 0, 1)
                answer(log, np.zeros(1600, "f4"))
            assert len(log.turns.window()) == 1 - erased
        await log.close()

    asyncio.run(scene())


def test_a_sweep_that_fails_unexpectedly_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("serving.engine.prediction_log.SWEEP", 0.02)
    calls = []

    class Broken(Copies):
        def sweep(self, content_days: float) -> int:
            calls.append("sweep")
            raise KeyError("recording")

        def finish(self) -> None:
            calls.append("finish")

    copies = Broken(tmp_path / "runs", tmp_path / "cache")
    url = f"sqlite:///{tmp_path}/feedback.db"
    log = PredictionLog(tmp_path / "log", url, LogSettings(), copies)
    assert wait_until(lambda: len(calls) >= 4, 60)
    asyncio.run(log.close())
    assert calls[:4] == ["sweep", "finish"] * 2
    assert "what is too old cannot be deleted now" in caplog.text
