"""Writing the log: nothing is lost, whatever dies, waits or is full."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from components.base import InputError, Unavailable
from components.traffic import (
    LogWriter,
    TurnLog,
)
from tests.components.traffic.conftest import MakeAnswer, watched_statements
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
    log: TurnLog, address: str, answer: MakeAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas on one database, new to both, while readers read."""
    # SQLite's writers wait in no order. On a slow disk one waits longer than a request may.
    monkeypatch.setattr("components.traffic.writer.MAX_WAIT", 60.0)
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


def test_a_request_that_waited_in_vain_is_never_written(
    log: TurnLog, answer: MakeAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an erasure that comes after the answer would miss it."""
    monkeypatch.setattr("components.traffic.writer.MAX_WAIT", 0.2)
    with closing(LogWriter(log)) as writer, ThreadPoolExecutor(1) as pool:
        with writer._lock:
            failure = pool.submit(writer.write, answer(0)).exception()
        assert isinstance(failure, Unavailable)
        writer.write(answer(1))
    assert {*ids(log)} == {"request-0001"}


def test_an_analysis_ends_only_once_its_request_is_written(
    log: TurnLog, answer: MakeAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.traffic.writer.MAX_WAIT", 0.5)
    with closing(LogWriter(log)) as writer, ThreadPoolExecutor(1) as pool:
        began = writer.begin("request-0000", "a")
        with writer._lock:
            ending = pool.submit(writer.end, "request-0000", began)
            assert log.erase(["a"]).under_way == 1
            assert isinstance(ending.exception(), Unavailable)
        writer.write(answer(0, recording="a"))
        assert writer.end("request-0000", began)
    assert ids(log) == []


def test_tables_that_are_there_are_not_made_again(log: TurnLog, address: str) -> None:
    """PostgreSQL would wait for those who write, and lets only the owner do so."""
    log.open()
    statements: list[str] = []
    with watched_statements(lambda _, statement: statements.append(statement)):
        for _ in range(2):
            with closing(TurnLog(log.folder, address)) as other:
                other.open()
    assert statements
    changes = ("CREATE", "ALTER", "INSERT", "LOCK", "BEGIN IMMEDIATE")
    assert [s for s in statements if s.startswith(changes) or "advisory" in s] == []


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


def test_sound_on_a_full_disk_is_an_os_error_as_all_else(tmp_path: Path) -> None:
    first, second, left = output_on_small_disk(tmp_path, 1, "full_disk").splitlines()
    assert "a.flac: the sound cannot be written: " in first and "a.flac: " in second
    assert left == "left []"
