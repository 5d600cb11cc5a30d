"""The log of version 0.1, in files, is put into the database: once, whole, whoever is killed."""

import base64
import fcntl
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Connection, insert, select

from components.traffic import LoggedRequest, TurnLog
from components.traffic.rows import to_table
from components.traffic.tables import ERASED, EXPORTED, MIGRATED, TURNS
from tests.components.traffic.conftest import MakeAnswer, watched_statements

ROOT = Path(__file__).resolve().parents[3]
DAY = "2026-03-02"


def line(request: LoggedRequest) -> bytes:
    """A journal's line."""
    table = to_table([[row[name] for name in EXPORTED] for row in request.rows()])
    rows = table.to_pylist()
    for number, row in enumerate(rows):
        row["embedding"] = base64.b64encode(request.rows()[number]["embedding"]).decode()
    keys = ("request_id", "recording", "route", "version", "alias", "audio")
    turns = [{k: v for k, v in row.items() if k not in (*keys, "time", "turn")} for row in rows]
    content = {key: rows[0][key] for key in keys} | {"time": request.time.isoformat()}
    return json.dumps(content | {"turns": turns}).encode() + b"\n"


def add_journal(folder: Path, name: str, *lines: bytes) -> Path:
    path = folder / "journal" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(lines))
    return path


def add_parquet(folder: Path, name: str, *requests: LoggedRequest, day: str = DAY) -> Path:
    path = folder / "turns" / f"day={day}" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [[row[column] for column in EXPORTED] for request in requests for row in request.rows()]
    pq.write_table(to_table(rows), path)
    return path


def ids(log: TurnLog) -> list[str]:
    """The requests in the log, each once for its first turn."""
    rows = log.window().to_pylist()
    return sorted(row["request_id"] for row in rows if not row["turn"])


def test_it_is_in_the_database_at_first_use_and_says_so_in_one_line(
    log: TurnLog, answer: MakeAnswer, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    folder = log.folder
    add_parquet(folder, f"{DAY}T1-a", answer(0), answer(1, recording="gone"))
    add_journal(folder, f"{DAY}T1-a", line(answer(0)))  # it was rolled up, and its writer died then
    add_journal(folder, "b", line(answer(2)), line(answer(3, recording="gone")))
    add_journal(folder, ".c")  # its writer died before its first line
    add_parquet(folder, f".{DAY}T1-b.uuid", answer(2))  # and this one's while it was rolled up
    (folder / "erased").mkdir()
    (folder / "erased" / "gone").write_text((now + timedelta(seconds=1)).isoformat())
    (folder / "key").write_bytes(b"key")
    before = answer(2).rows()
    assert ids(log) == ["request-0000", "request-0002"]
    rows = [row for row in log.window().to_pylist() if row["request_id"] == "request-0002"]
    assert rows == to_table([[row[name] for name in EXPORTED] for row in before]).to_pylist()
    assert [path.name for path in folder.iterdir()] == ["key"]
    assert [record.getMessage() for record in caplog.records] == [
        f"migrated {folder}: 8 turns of 3 files are in the database now"
    ]
    with log.open().begin() as connection:  # what was erased was not only hidden
        assert len(connection.execute(TURNS.select()).all()) == 4


def test_damaged_lines_and_files_cost_themselves_alone(
    log: TurnLog, answer: MakeAnswer, caplog: pytest.LogCaptureFixture
) -> None:
    strange = line(answer(1)).replace(b'"version": 3', b'"version": "three"')
    torn = line(answer(3))[:-40]
    bad = [strange, b"[]\n", b"\xff\x00\n", b"{}\n"]
    add_journal(log.folder, "a", line(answer(0)), *bad, line(answer(2)), torn)
    path = add_parquet(log.folder, "b", answer(4))
    path.write_bytes(path.read_bytes()[:-100])
    assert ids(log) == ["request-0000", "request-0002"]
    assert path.exists()
    unreadable, done = (record.getMessage() for record in caplog.records)
    assert f"{path} cannot be migrated and stays: " in unreadable
    assert done.endswith("; left out 5 damaged lines")


def test_a_file_that_the_database_refuses_stays_and_the_others_go(
    log: TurnLog, address: str, answer: MakeAnswer, caplog: pytest.LogCaptureFixture
) -> None:
    path = add_parquet(log.folder, "a", answer(0, text="a\0b"))
    add_parquet(log.folder, "b", answer(1))
    nameless = line(answer(2)).replace(answer(2).recording.encode().join([b'"'] * 2), b"null")
    journal = add_journal(log.folder, "c", nameless)
    mark = log.folder / "erased" / "recording"
    mark.parent.mkdir()
    mark.write_text("yesterday")
    takes_it = address.startswith("sqlite")
    assert ids(log) == ["request-0000", "request-0001"][not takes_it :]
    assert (path.exists(), mark.exists(), journal.exists()) == (not takes_it, True, True)
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 3 - takes_it


def test_files_of_one_name_are_told_apart_by_their_days(log: TurnLog, answer: MakeAnswer) -> None:
    """An export looks like a log of version 0.1."""
    for number in range(3):
        add_parquet(log.folder, "turns", answer(number), day=f"2026-03-0{number + 1}")
    assert ids(log) == [f"request-{n:04d}" for n in range(3)]


def test_what_another_folder_has_migrated_stays_known(log: TurnLog, answer: MakeAnswer) -> None:
    with log.open().begin() as connection:
        connection.execute(insert(MIGRATED), {"name": "/another/log/day=2026-03-02/a"})
    add_parquet(log.folder, "a", answer(0))
    log.sweep(content_days=7, days=90)
    with log.open().begin() as connection:
        assert connection.scalars(select(MIGRATED.c.name)).all() == [
            "/another/log/day=2026-03-02/a"
        ]


def test_rows_are_on_the_disk_before_their_file_is_deleted(
    tmp_path: Path, answer: MakeAnswer
) -> None:
    levels = []

    def watch(connection: Connection, statement: str) -> None:
        if statement.startswith(f"INSERT INTO {TURNS.name}"):
            cursor = connection.connection.cursor()
            levels.append(cursor.execute("PRAGMA synchronous").fetchone()[0])

    add_parquet(tmp_path / "log", "a", answer(0))
    log = TurnLog(tmp_path / "log", f"sqlite:///{tmp_path}/feedback.db")
    with watched_statements(watch), closing(log):
        log.open()
    assert levels == [2]  # FULL


def test_a_journal_whose_writer_lives_waits(log: TurnLog, answer: MakeAnswer) -> None:
    path = add_journal(log.folder, "a", line(answer(0)))
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert ids(log) == []
        writer.write(line(answer(1)))
    log.sweep(content_days=7, days=90)
    assert ids(log) == ["request-0000", "request-0001"]


def test_what_an_older_writer_has_not_given_yet_is_erased_all_the_same(
    log: TurnLog, answer: MakeAnswer
) -> None:
    path = add_journal(log.folder, "a", line(answer(0)), line(answer(1)))
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        log.erase([answer(1).recording])
    log.sweep(content_days=7, days=90)
    assert ids(log) == ["request-0000"]
    with log.open().begin() as connection:  # and no mark is left
        assert connection.execute(ERASED.select()).all() == []


def test_processes_that_start_together_migrate_it_once(
    log: TurnLog, address: str, answer: MakeAnswer
) -> None:
    for number in range(20):
        add_parquet(log.folder, f"{number}", answer(number))

    def look(_: int) -> int:
        with closing(TurnLog(log.folder, address)) as other:
            return len(other.window())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, range(4))) == [40] * 4


def test_one_that_is_killed_goes_on_where_it_stopped(
    log: TurnLog, address: str, answer: MakeAnswer
) -> None:
    """SIGKILL while files are migrated, three times."""
    for number in range(60):
        add_parquet(log.folder, f"{number}", answer(number))
    code = "import sys; from pathlib import Path; from components.traffic import TurnLog\n"
    code += "TurnLog(Path(sys.argv[1]), sys.argv[2]).open()"
    for rest in (50, 30, 10):
        child = subprocess.Popen([sys.executable, "-c", code, log.folder, address], cwd=ROOT)
        while len(list(log.folder.glob("turns/*/*"))) > rest and child.poll() is None:
            time.sleep(0.001)
        child.kill()
        child.wait()
    assert ids(log) == [f"request-{n:04d}" for n in range(60)]
    assert len(log.window()) == 120
    assert not list(log.folder.iterdir())
