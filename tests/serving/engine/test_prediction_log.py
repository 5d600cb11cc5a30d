"""What fails in the prediction log fails no answer: it is counted, and said once."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from components.conversation import Turn
from components.traffic import TurnLog
from serving.engine.classifier import Classified
from serving.engine.prediction_log import LogSettings, PredictionLog, RequestInfo

MEASURES = {"duration": 1.0, "words_per_second": 1.0, "loudness_db": -20.0, "snr_db": 30.0}


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("moodline_logged_total", {"outcome": outcome}) or 0.0


def test_a_database_that_is_away_is_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "serving")
    in_the_way = tmp_path / "feedback.db"
    in_the_way.mkdir()
    log = PredictionLog(tmp_path / "log", f"sqlite:///{in_the_way}", LogSettings())
    turn = Turn("call", 0.0, 1.0, "A", "hello").answered([0.1, 0.7, 0.2, 0.0])

    def record() -> None:
        asked = RequestInfo("r", "/v1/analyze")
        answer = Classified(np.full((1, 4), 0.25), np.zeros((1, 8), "f4"), 3, "production")
        log.record(asked, "call", answer, [turn], [MEASURES])

    failed, kept = counted("failed"), counted("kept")
    for _ in range(3):
        record()
    assert counted("failed") == failed + 3
    in_the_way.rmdir()
    while counted("kept") == kept:
        record()
        time.sleep(0.05)
    record()
    asyncio.run(log.close())
    at_start, fails, works = (record.getMessage() for record in caplog.records)
    assert at_start.startswith("the prediction log waits: the feedback's database: ")
    assert fails.startswith("answers are not, or not all, in the prediction log: ")
    assert works == "answers are in the prediction log again"
    assert len(TurnLog(tmp_path / "log", f"sqlite:///{in_the_way}").window()) == 2
