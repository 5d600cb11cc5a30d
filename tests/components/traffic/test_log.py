"""The prediction log: nothing lost, whatever dies; what others read; what is erased."""

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from components.base import InputError, Unavailable
from components.conversation import EMOTIONS
from components.traffic import (
    ErasedTurns,
    LogWriter,
    TurnLog,
    audio_path,
    export_log,
    keep_audio,
    kept_audio,
    read_export,
    recording_id,
    recording_key,
    schema,
)
from components.traffic.answers import find_request
from components.traffic.tables import EXPORTED, METADATA
from tests.components.traffic.conftest import MakeAnswer, Write, watched_statements
from tests.serving.helpers import running_postgres
from tests.small_disk import on_small_disk

ROOT = Path(__file__).resolve().parents[3]


def ids(log: TurnLog) -> list[str]:
    return log.window()["request_id"].to_pylist()


def output_on_small_disk(disk: Path, megabytes: int, module: str, *arguments: str) -> str:
    """What a module of this folder prints that runs with a disk of that size."""
    name = f"tests.components.traffic.{module}"
    command = on_small_disk(disk, megabytes, [sys.executable, "-m", name, disk, *arguments])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored(log: TurnLog) -> bytes:
    """All files of the log, and of a database in SQLite."""
    files = [path for path in log.folder.parent.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


def test_a_row_holds_what_was_answered_and_no_words(
    log: TurnLog, write: Write, answer: MakeAnswer
) -> None:
    sent = answer(7)
    write(sent)
    table = log.window()
    assert table.schema.equals(schema())
    assert tuple(table.column_names) == EXPORTED
    row, other = table.to_pylist()
    turn = sent.turns[0].turn
    assert (row["request_id"], row["turn"], row["time"]) == (sent.request_id, 0, sent.time)
    assert (row["start"], row["end"], row["speaker"]) == (0.0, 2.0, "A")
    assert (row["emotion"], row["version"], row["alias"]) == (turn.emotion, 3, "production")
    assert turn.probabilities is not None
    assert row["probabilities"] == [turn.probabilities[emotion] for emotion in EMOTIONS]
    assert row["embedding"] == sent.turns[0].embedding.tolist()  # type: ignore[union-attr]
    assert (row["snr_db"], row["audio"]) == (37.0, False)
    assert (row["asr_confidence"], other["asr_confidence"]) == (0.875, None)
    p = np.array(row["probabilities"])
    assert row["entropy"] == pytest.approx(-(p * np.log2(p)).sum(), rel=1e-6)
    assert row["text"] is None
    assert b"must not be logged" not in stored(log)
    write(answer(1, turns=0))
    (row,) = (row for row in log.window().to_pylist() if row["request_id"] == "request-0001")
    assert (row["turn"], row["embedding"]) == (None, None)


def test_a_killed_writer_loses_nothing_that_it_answered(log: TurnLog, address: str) -> None:
    """SIGKILL after more than a thousand requests."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.components.traffic.writer", str(log.folder), address],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout is not None
    answered = [child.stdout.readline().strip() for _ in range(1000)]
    child.kill()
    answered += child.stdout.read().split("\n")[:-1]
    child.wait()
    logged = ids(log)
    assert len(logged) == len(set(logged))
    assert set(answered) <= set(logged)
    assert len(set(logged) - set(answered)) <= 1  # in the log, but not printed any more


def test_many_threads_and_writers_write_at_once(
    log: TurnLog, address: str, answer: MakeAnswer
) -> None:
    """Two replicas on one database, new to both, while readers read."""
    replicas = [log, TurnLog(log.folder, address)]
    writers = [LogWriter(replica) for replica in replicas]
    requests = [answer(number) for number in range(400)]
    seen = []
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(writers[n % 2].write, request) for n, request in enumerate(requests)]
        while not all(job.done() for job in jobs):
            logged = ids(log)
            assert len(logged) == 2 * len(set(logged))  # no request twice, none by half
            seen.append(len(logged))
    assert [job.exception() for job in jobs] == [None] * 400
    assert seen == sorted(seen)
    assert len(ids(log)) == 800
    for writer in writers:
        writer.close()
    replicas[1].close()


def test_a_value_that_the_database_does_not_hold_costs_its_request_alone(
    log: TurnLog, answer: MakeAnswer
) -> None:
    """They wait for the writer together, and so are written in one transaction."""
    requests = [answer(n, version=2**70 if n == 1 else 3) for n in range(4)]
    with closing(LogWriter(log)) as writer, ThreadPoolExecutor(4) as pool:
        with writer._lock:
            jobs = [pool.submit(writer.write, request) for request in requests]
            while len(writer._waiting) < 4:
                threading.Event().wait(0.01)
        failures = [job.exception() for job in jobs]
    assert [type(failure) for failure in failures] == [type(None), InputError, *[type(None)] * 2]
    assert sorted({*ids(log)}) == ["request-0000", "request-0002", "request-0003"]


def test_a_database_that_is_away_fails_requests_at_once_and_is_found_again(
    tmp_path: Path, answer: MakeAnswer
) -> None:
    in_the_way = tmp_path / "feedback.db"
    in_the_way.mkdir()
    log = TurnLog(tmp_path / "log", f"sqlite:///{in_the_way}")
    with closing(LogWriter(log)) as writer:
        for _ in range(3):
            with pytest.raises(Unavailable, match=r"the feedback's database: .*unable to open"):
                writer.write(answer(0))
        in_the_way.rmdir()
        while writer._failure:
            threading.Event().wait(0.05)
        writer.write(answer(1))
    assert {*ids(log)} == {"request-0001"}
    with pytest.raises(Unavailable, match="is closed"):
        writer.write(answer(2))
    log.close()


def test_a_database_that_somebody_locks_is_given_up(
    log: TurnLog, answer: MakeAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.traffic.writer.MAX_WAIT", 0.3)
    with closing(LogWriter(log)) as writer:
        writer.write(answer(0))
        database = log.open()
        lock = "BEGIN IMMEDIATE" if database.is_sqlite else "LOCK TABLE moodline_turns"
        with database.open().connect() as connection:
            connection.exec_driver_sql(lock)
            unlock = threading.Timer(8, connection.rollback)
            unlock.start()
            with pytest.raises(Unavailable):
                writer.write(answer(1))
            unlock.cancel()
        while writer._failure:
            threading.Event().wait(0.05)
        writer.write(answer(2))
    assert {*ids(log)} == {"request-0000", "request-0002"}


def test_tables_that_are_there_are_not_made_again(log: TurnLog, address: str) -> None:
    """PostgreSQL would wait for those who write, and lets only the owner do so."""
    with log.open().begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_moodline_turns_text")
    statements: list[str] = []
    with watched_statements(lambda _, statement: statements.append(statement)):
        for _ in range(2):
            with closing(TurnLog(log.folder, address)) as other:
                other.open()
    made = [statement.split()[5] for statement in statements if statement.startswith("CREATE")]
    assert made == ["ix_moodline_turns_text"]


@pytest.mark.servers
def test_a_postgresql_that_was_started_anew_loses_no_request(
    tmp_path: Path, answer: MakeAnswer
) -> None:
    """Its connections are dead, and the first request after that is written all the same."""
    with running_postgres() as (url, _), closing(TurnLog(tmp_path / "log", url)) as log:
        with closing(LogWriter(log)) as writer:
            writer.write(answer(0))
            with log.open().begin() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
            writer.write(answer(1))
        assert {*ids(log)} == {"request-0000", "request-0001"}


def test_a_full_disk_fails_requests_and_leaves_whole_ones(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    printed = output_on_small_disk(folder, 4, "writer", f"sqlite:///{folder}/feedback.db", "full")
    assert printed == "logged what was written, and nothing else\n"


def test_a_window_is_cut_by_time_and_version(
    log: TurnLog, write: Write, answer: MakeAnswer, now: datetime
) -> None:
    hour = timedelta(hours=1)
    write(*(answer(n, time=now + n * hour, version=3 + n % 2) for n in range(6)))

    def numbers(**options: object) -> list[int]:
        table = log.window(**options)  # type: ignore[arg-type]
        return sorted({int(name[-4:]) for name in table["request_id"].to_pylist()})

    assert numbers() == [0, 1, 2, 3, 4, 5]
    assert numbers(since=now + 2 * hour) == [2, 3, 4, 5]
    assert numbers(until=now + 2 * hour) == [0, 1]
    assert numbers(since=now + hour, until=now + 4 * hour, version=4) == [1, 3]


def test_a_request_is_found_by_its_id(log: TurnLog, write: Write, answer: MakeAnswer) -> None:
    write(answer(1, turns=3), answer(2))
    assert [row["turn"] for row in find_request(log.open(), "request-0001")] == [0, 1, 2]
    assert find_request(log.open(), "request-000") == []


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
    log.begin("request-0001", "a")
    log.begin("request-0002", "b")
    assert log.erase(["a"]) == ErasedTurns(0, 0, 1)
    for number, recording in ((1, "a"), (2, "b")):
        request = answer(number, recording=recording, audio=True, text="secret words")
        keep_audio(audio_path(log.folder, recording, request.request_id, now), np.zeros(1600, "f4"))
        write(request)
    assert [log.end("request-0001"), log.end("request-0002")] == [True, False]
    assert {*log.window()["recording"].to_pylist()} == {"b"}
    (path,) = log.folder.glob("audio/*/*")
    assert path.name == "b.request-0002.flac"
    # The clock was set back since: what is sent now was not sent before the erasure.
    write(answer(3, recording="a", time=now - timedelta(hours=1)))
    assert len(find_request(log.open(), "request-0003")) == 2
    log.erase(["b"])
    assert b"secret words" not in stored(log)


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


def test_pandas_and_duckdb_read_an_export(
    log: TurnLog, write: Write, answer: MakeAnswer, now: datetime, tmp_path: Path
) -> None:
    day = timedelta(days=1)
    write(*(answer(n, turns=3, time=now + (n % 2) * day) for n in range(5)), answer(9, turns=0))
    assert export_log(log, tmp_path / "all.parquet") == 16
    assert export_log(log, tmp_path / "days") == 16
    for path in (tmp_path / "all.parquet", tmp_path / "days" / "turns"):
        assert len(pd.read_parquet(path)) == 16
    assert len(list(tmp_path.glob("days/turns/day=*/turns.parquet"))) == 2
    query = "select emotion, count(*) n, avg(snr_db) snr from read_parquet(?) group by emotion"
    answers = duckdb.execute(query, [f"{tmp_path}/days/turns/*/*.parquet"]).fetchall()
    assert sum(row[1] for row in answers) == 16
    for options in ({}, {"since": now + day}, {"until": now + day, "version": 3}, {"version": 9}):
        assert read_export(tmp_path / "days", **options).equals(log.window(**options))
    # A log of version 0.1 holds Parquet, too, and beside it what must not be overlooked.
    (tmp_path / "days" / "journal").mkdir()
    with pytest.raises(InputError, match=r"is a log of version 0\.1, not an export"):
        read_export(tmp_path / "days")
    with pytest.raises(InputError, match="nothing in the log for this window"):
        export_log(log, tmp_path / "none", since=now + 2 * day)
    assert not (tmp_path / "none").exists()
    (tmp_path / "torn").mkdir()
    with pytest.raises(InputError, match="torn: holds no Parquet files"):
        read_export(tmp_path / "torn")
    (tmp_path / "torn" / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"a\.parquet: is no file of a prediction log: "):
        read_export(tmp_path / "torn")


def test_names_of_recordings_are_hashed_with_a_key_of_the_log(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(recording_key, [tmp_path / "log"] * 8))
    assert len(set(keys)) == 1
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["key"]
    assert (tmp_path / "log" / "key").stat().st_mode & 0o077 == 0
    other = recording_key(tmp_path / "other")
    assert recording_id("call", keys[0]) == recording_id("call", keys[0])
    assert recording_id("call", keys[0]) != recording_id("call", other)


def test_sound_on_a_full_disk_is_an_os_error_as_all_else(tmp_path: Path) -> None:
    first, second, left = output_on_small_disk(tmp_path, 1, "full_disk").splitlines()
    assert "a.flac: the sound cannot be written: " in first and "a.flac: " in second
    assert left == "left []"
