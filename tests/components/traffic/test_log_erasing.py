"""Erasing from the log, what is being analysed too; what is too old goes."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from components.traffic import (
    ErasedTurns,
    LogWriter,
    TurnLog,
    audio_path,
    keep_audio,
    kept_audio,
)
from components.traffic.answers import find_request
from components.traffic.tables import METADATA
from tests.components.traffic.conftest import MakeAnswer, Write, stored


def test_a_recording_is_erased_everywhere(
    log: TurnLog, address: str, write: Write, answer: MakeAnswer, now: datetime
) -> None:
    sent = [answer(n, recording="ab"[n % 2], audio=True, text="secret words") for n in range(4)]
    for request in sent:
        keep_audio(
            audio_path(log.folder, request.recording, request.request_id, request.time),
            np.zeros(1600, "f4"),
        )
    write(*sent)
    assert b"secret words" in stored(log) or not address.startswith("sqlite")
    assert log.erase(["a", "another name of a"]) == ErasedTurns(4 + 2, 0, 0)  # turns and files
    assert {*log.window()["recording"].to_pylist()} == {"b"}
    assert (
        find_request(log.open(), "request-0000") == find_request(log.open(), "request-0002") == []
    )
    kept = [kept_audio(log.folder, row) for row in log.window().to_pylist()]
    assert len({*kept}) == 2
    assert None not in kept
    assert len(list(log.folder.glob("audio/*/*"))) == 2
    log.erase(["b"])
    assert b"secret words" not in stored(log)  # nor in SQLite's free pages


def test_what_is_being_analysed_is_erased_and_a_clock_has_no_say(
    log: TurnLog, write: Write, answer: MakeAnswer, now: datetime
) -> None:
    """Begun before an erasure, and written after it; then the same recording again."""
    began = [log.begin("request-0001", "a"), log.begin("request-0002", "b")]
    assert log.erase(["a"]) == ErasedTurns(0, 0, 1)
    for number, recording in ((1, "a"), (2, "b")):
        request = answer(number, recording=recording, audio=True, text="secret words")
        keep_audio(audio_path(log.folder, recording, request.request_id, now), np.zeros(1600, "f4"))
        write(request)
    ended = log.end("request-0001", began[0]), log.end("request-0002", began[1])
    assert ended == (True, False)
    assert {*log.window()["recording"].to_pylist()} == {"b"}
    (path,) = log.folder.glob("audio/*/*")
    assert path.name == "b.request-0002.flac"
    # The clock was set back since: what is sent now was not sent before the erasure.
    write(answer(3, recording="a", time=now - timedelta(hours=1)))
    assert len(find_request(log.open(), "request-0003")) == 2
    log.erase(["b"])
    assert b"secret words" not in stored(log)


def test_a_process_that_lost_its_job_ends_its_own_analysis_and_no_others(
    log: TurnLog, write: Write, answer: MakeAnswer
) -> None:
    lost = log.begin("request-0001", "a")
    own = log.begin("request-0001", "a")  # by the process that has taken the job over
    assert not log.end("request-0001", lost)
    write(answer(1, recording="a"))
    assert log.erase(["a"]) == ErasedTurns(2, 0, 1)
    assert log.begin("request-0001", "a") != own  # a third one: what is erased stays so
    write(answer(1, recording="a"))
    assert log.end("request-0001", own)
    assert len(log.window()) == 0


def test_what_was_written_without_a_mark_is_not_kept(
    log: TurnLog, write: Write, answer: MakeAnswer
) -> None:
    """A process that stood still while another did its job, and an erasure came after that."""
    lost = log.begin("request-0001", "a")
    own = log.begin("request-0001", "a")
    assert not log.end("request-0001", own)
    assert log.erase(["a"]) == ErasedTurns(0, 0, 0)
    write(answer(1, recording="a"))
    assert log.end("request-0001", lost)
    assert len(log.window()) == 0


def test_an_analysis_that_died_leaves_nothing_of_an_erased_recording(
    log: TurnLog, write: Write, answer: MakeAnswer, now: datetime
) -> None:
    log.begin("request-0001", "a")
    log.erase(["a"])
    write(answer(1, recording="a"))  # its process was killed after this
    log.sweep(content_days=7, days=90, now=now + timedelta(days=3))
    assert len(log.window()) == 0
    assert log.erase(["a"]) == ErasedTurns(0, 0, 0)


def test_an_erasure_of_an_unknown_name_leaves_nothing(log: TurnLog, address: str) -> None:
    log.open()
    before = [table.name for table in METADATA.sorted_tables]
    for number in range(20):
        assert log.erase([f"never was {number}"]) == ErasedTurns(0, 0, 0)
    with log.open().begin() as connection:
        counts = [connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar()
                  for name in before]  # fmt: skip
    assert counts == [0] * len(before)
    assert not log.folder.exists() or not list(log.folder.rglob("*"))


def test_sound_without_a_database_is_erased(log: TurnLog, now: datetime) -> None:
    keep_audio(audio_path(log.folder, "a", "request-0000", now), np.zeros(1600, "f4"))
    assert log.erase(["a"]) == ErasedTurns(1, 0, 0)
    assert not list(log.folder.glob("audio/*/*"))


def test_a_reader_keeps_what_was_erased_in_the_wal_and_that_is_logged(
    tmp_path: Path, answer: MakeAnswer, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "feedback.db"
    with closing(TurnLog(tmp_path / "log", f"sqlite:///{path}")) as log:
        with closing(LogWriter(log)) as writer, closing(sqlite3.connect(path)) as reader:
            writer.write(answer(1, recording="a"))
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM moodline_turns").fetchone()
            assert log.erase(["a"]) == ErasedTurns(2, 0, 0)
        assert "stays in its write-ahead log" in caplog.text
        caplog.clear()
        log.erase(["a"])
        assert not caplog.text


def test_words_and_sound_go_before_the_rest(
    log: TurnLog, write: Write, answer: MakeAnswer, now: datetime
) -> None:
    write(answer(1, text="hello"))
    keep_audio(audio_path(log.folder, "r", "request-0001", now), np.zeros(1600, "f4"))

    def look(days: float) -> tuple[tuple[int, int], list[str | None], int]:
        done = log.sweep(content_days=7, days=90, now=now + timedelta(days=days))
        texts = log.window()["text"].to_pylist()
        return done, texts, len(list(log.folder.glob("audio/*/*.flac")))

    assert look(6) == ((0, 0), ["hello", "hello"], 1)
    assert look(9) == ((2, 1), [None, None], 0)
    assert look(9) == ((0, 0), [None, None], 0)
    assert look(92) == ((0, 2), [], 0)
