"""The prediction log: nothing lost, whatever dies; what others read; what is erased."""

import fcntl
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.conversation import EMOTIONS
from components.traffic import (
    Answered,
    Journal,
    audio_path,
    erase,
    find_request,
    keep_audio,
    kept_audio,
    read_window,
    recording_id,
    recording_key,
    schema,
    sweep,
)
from tests.small_disk import on_small_disk

MakeAnswer = Callable[..., Answered]
ROOT = Path(__file__).resolve().parents[3]


def ids(folder: Path) -> list[str]:
    return read_window(folder).table["request_id"].to_pylist()


def test_a_row_holds_what_was_answered_and_no_words(tmp_path: Path, answer: MakeAnswer) -> None:
    journal = Journal(tmp_path)
    sent = answer(7)
    journal.append(sent.line())
    live = read_window(tmp_path).table
    journal.close()
    rolled = read_window(tmp_path).table
    assert rolled.equals(live)
    assert rolled.schema.equals(schema())
    row, other = rolled.to_pylist()
    turn = sent.turns[0].turn
    assert (row["request_id"], row["turn"], row["time"]) == (sent.request_id, 0, sent.at)
    assert (row["start"], row["end"], row["speaker"]) == (0.0, 2.0, "A")
    assert (row["emotion"], row["version"], row["alias"]) == (turn.emotion, 3, "production")
    assert turn.probabilities is not None
    assert row["probabilities"] == [turn.probabilities[emotion] for emotion in EMOTIONS]
    assert row["embedding"] == sent.turns[0].embedding.tolist()  # type: ignore[union-attr]
    assert row["snr_db"] == 37.0
    assert (row["asr_confidence"], other["asr_confidence"]) == (0.875, None)
    p = np.array(row["probabilities"])
    assert row["entropy"] == pytest.approx(-(p * np.log2(p)).sum(), rel=1e-6)
    assert row["text"] is None
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"must not be logged" not in everything


def test_a_request_without_turns_is_in_the_log(tmp_path: Path, answer: MakeAnswer) -> None:
    journal = Journal(tmp_path)
    journal.append(answer(1, turns=0).line())
    journal.close()
    assert read_window(tmp_path).table.select(["request_id", "turn"]).to_pylist() == [
        {"request_id": "request-0001", "turn": None}
    ]


@pytest.mark.parametrize("roll_bytes", [100_000_000, 150_000], ids=["journal", "rolling"])
def test_a_killed_writer_loses_nothing_that_it_answered(tmp_path: Path, roll_bytes: int) -> None:
    """SIGKILL in the middle of a thousand requests, and while journals are rolled up."""
    writer = Path(__file__).with_name("writer.py")
    child = subprocess.Popen(
        [sys.executable, str(writer), str(tmp_path / "log"), str(roll_bytes)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert child.stdout is not None
    answered = [child.stdout.readline().strip() for _ in range(1000)]
    child.kill()
    answered += child.stdout.read().split("\n")[:-1]
    child.wait()
    found = ids(tmp_path / "log")
    assert len(found) == len(set(found))
    assert set(answered) <= set(found)
    assert len(set(found) - set(answered)) <= 1  # in the log, but nobody was told

    # The next writer rolls up what the dead one left, and loses nothing either.
    survivor = Journal(tmp_path / "log")
    survivor.roll()
    survivor.close()
    assert sorted(ids(tmp_path / "log")) == sorted(found)
    assert not list((tmp_path / "log" / "journal").iterdir())


def test_a_writer_that_died_before_its_first_line_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "journal"
    place.mkdir()
    left, begun = place / ".2026-03-02T120000-dead.jsonl", place / ".2026-03-02T120000-alive.jsonl"
    left.touch()
    with begun.open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        journal = Journal(tmp_path)
        journal.roll()
        journal.close()
        assert list(place.iterdir()) == [begun]


def test_a_torn_last_line_is_dropped_and_counted(tmp_path: Path, answer: MakeAnswer) -> None:
    place = tmp_path / "journal"
    place.mkdir()
    whole = [answer(number).line() for number in range(3)]
    (place / "2026-03-02T120000-dead.jsonl").write_bytes(b"".join(whole)[:-40])
    window = read_window(tmp_path)
    assert set(window.table["request_id"].to_pylist()) == {"request-0000", "request-0001"}
    assert window.broken == 1
    survivor = Journal(tmp_path)
    survivor.roll()
    survivor.close()
    assert survivor.broken == 1
    assert len(read_window(tmp_path).table) == 4


def test_a_damaged_line_costs_itself_alone(tmp_path: Path, answer: MakeAnswer) -> None:
    place = tmp_path / "journal"
    place.mkdir()
    strange = answer(1).line().replace(b'"version":3', b'"version":"three"')
    lines = [answer(0).line(), strange, b"[]\n", b"\xff\x00\n", b"{}\n", answer(2).line()]
    (place / "2026-03-02T120000-dead.jsonl").write_bytes(b"".join(lines))
    window = read_window(tmp_path)
    assert set(window.table["request_id"].to_pylist()) == {"request-0000", "request-0002"}
    assert window.broken == 4


def test_a_torn_parquet_file_is_named_and_the_rest_is_read(
    tmp_path: Path, answer: MakeAnswer
) -> None:
    for number in range(2):
        journal = Journal(tmp_path)
        journal.append(answer(number).line())
        journal.close()
    torn = sorted(tmp_path.glob("turns/*/*.parquet"))[-1]
    torn.write_bytes(torn.read_bytes()[:-100])
    window = read_window(tmp_path)
    assert window.unreadable == (torn.name,)
    assert len(window.table) == 2
    assert len({*window.table["request_id"].to_pylist()}) == 1


def test_pandas_and_duckdb_read_it_while_writers_write(tmp_path: Path, answer: MakeAnswer) -> None:
    journal = Journal(tmp_path)
    for number in range(5):
        journal.append(answer(number, turns=3).line())
    journal.roll()
    journal.append(answer(9).line())  # not rolled up yet
    frame = pd.read_parquet(tmp_path / "turns")
    assert len(frame) == 15
    query = "select emotion, count(*) n, avg(snr_db) snr from read_parquet(?) group by emotion"
    answers = duckdb.execute(query, [f"{tmp_path}/turns/*/*.parquet"]).fetchall()
    assert sum(row[1] for row in answers) == 15
    assert frame["emotion"].value_counts().to_dict() == {row[0]: row[1] for row in answers}
    assert len(read_window(tmp_path).table) == 17
    journal.close()


def test_many_threads_and_writers_write_at_once(tmp_path: Path, answer: MakeAnswer) -> None:
    """Journals roll up under them all the while, what is left is looked for, and readers read."""
    often = {"roll_seconds": 0.001, "sync_seconds": 0.001}
    writers = [Journal(tmp_path, roll_bytes=4_000, **often) for _ in range(2)]
    lines = [answer(number).line() for number in range(400)]

    def write(part: int) -> None:
        for number in range(part, len(lines), 8):
            writers[part % 2].append(lines[number])

    threads = [threading.Thread(target=write, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        found = ids(tmp_path)
        assert len(found) == 2 * len(set(found))  # no request twice, none by half
        seen.append(len(found))
    assert seen == sorted(seen)
    for writer in writers:
        writer.close()
    assert len(list(tmp_path.glob("turns/*/*.parquet"))) > 10
    assert len(ids(tmp_path)) == 800


def test_a_write_that_fails_leaves_no_half_line(
    tmp_path: Path, answer: MakeAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes half a line, then no more; later there is room again."""
    import os

    journal = Journal(tmp_path)
    journal.append(answer(0).line())
    real, calls = os.write, []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return real(descriptor, bytes(data[: len(data) // 2]))
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            journal.append(answer(1).line())
    journal.append(answer(2).line())
    journal.close()
    window = read_window(tmp_path)
    assert set(window.table["request_id"].to_pylist()) == {"request-0000", "request-0002"}
    assert (window.broken, journal.broken) == (0, 0)


def test_a_window_is_cut_by_time_and_version(
    tmp_path: Path, answer: MakeAnswer, now: datetime
) -> None:
    hour = timedelta(hours=1)
    journal = Journal(tmp_path)
    for number in range(6):
        journal.append(answer(number, at=now + number * hour, version=3 + number % 2).line())
    journal.close()

    def found(**keys: object) -> list[int]:
        table = read_window(tmp_path, **keys).table  # type: ignore[arg-type]
        return sorted({int(name[-4:]) for name in table["request_id"].to_pylist()})

    assert found() == [0, 1, 2, 3, 4, 5]
    assert found(since=now + 2 * hour) == [2, 3, 4, 5]
    assert found(until=now + 2 * hour) == [0, 1]
    assert found(since=now + hour, until=now + 4 * hour, version=4) == [1, 3]


def test_a_request_is_found_wherever_it_lies(tmp_path: Path, answer: MakeAnswer) -> None:
    journal = Journal(tmp_path)
    journal.append(answer(1, turns=3).line())
    journal.roll()
    journal.append(answer(2).line())
    assert [row["turn"] for row in find_request(tmp_path, "request-0001")] == [0, 1, 2]
    assert [row["turn"] for row in find_request(tmp_path, "request-0002")] == [0, 1]
    assert find_request(tmp_path, "request-000") == []
    assert find_request(tmp_path / "nowhere", "request-0001") == []
    journal.close()


def test_a_recording_is_erased_everywhere(
    tmp_path: Path, answer: MakeAnswer, now: datetime
) -> None:
    journal = Journal(tmp_path)
    sent = [answer(n, recording="ab"[n % 2], audio=True) for n in range(4)]
    for request in sent:
        keep_audio(
            audio_path(tmp_path, request.recording, request.request_id, request.at),
            np.zeros(1600, "f4"),
        )
    journal.append(sent[0].line())
    journal.append(sent[1].line())
    journal.roll()
    journal.append(sent[2].line())  # still in a journal that is being written
    journal.append(sent[3].line())
    assert erase(tmp_path, "a", now=now + timedelta(minutes=1)) == 4 + 2  # turns, sound files
    assert {*read_window(tmp_path).table["recording"].to_pylist()} == {"b"}
    assert find_request(tmp_path, "request-0000") == find_request(tmp_path, "request-0002") == []
    journal.close()
    stored = [pq.ParquetFile(path).read() for path in tmp_path.glob("turns/*/*.parquet")]
    assert {name for table in stored for name in table["recording"].to_pylist()} == {"b"}
    kept = [kept_audio(tmp_path, row) for row in read_window(tmp_path).table.to_pylist()]
    assert len({*kept}) == 2
    assert None not in kept
    assert len(list(tmp_path.glob("audio/*/*"))) == 2

    # The same recording sent again later is another matter.
    again = Journal(tmp_path)
    again.append(answer(9, recording="a", at=now + timedelta(minutes=2)).line())
    again.close()
    assert {*read_window(tmp_path).table["recording"].to_pylist()} == {"a", "b"}


def test_words_and_sound_go_before_the_rest(
    tmp_path: Path, answer: MakeAnswer, now: datetime
) -> None:
    journal = Journal(tmp_path)
    journal.append(answer(1, text="hello", at=now).line())
    keep_audio(audio_path(tmp_path, "r", "request-0001", now), np.zeros(1600, "f4"))
    journal.close()

    def look(days: float) -> tuple[tuple[int, int], list[str | None], int]:
        done = sweep(tmp_path, content_days=7, days=90, now=now + timedelta(days=days))
        texts = read_window(tmp_path).table["text"].to_pylist()
        return done, texts, len(list(tmp_path.glob("audio/*/*.flac")))

    assert look(6) == ((0, 0), ["hello", "hello"], 1)
    assert look(9) == ((1, 1), [None, None], 0)
    assert look(9) == ((0, 0), [None, None], 0)
    assert look(92) == ((0, 1), [], 0)


def test_names_of_recordings_are_hashed_with_a_key_of_the_log(tmp_path: Path) -> None:
    keys: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: keys.append(recording_key(tmp_path / "log")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert len(keys) == 8
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["key"]
    assert (tmp_path / "log" / "key").stat().st_mode & 0o077 == 0
    other = recording_key(tmp_path / "other")
    assert recording_id("call", keys[0]) == recording_id("call", keys[0])
    assert recording_id("call", keys[0]) != recording_id("call", other)


def test_sound_on_a_full_disk_is_an_os_error_as_all_else(tmp_path: Path) -> None:
    script = [sys.executable, "-m", "tests.components.traffic.full_disk", tmp_path]
    done = subprocess.run(
        on_small_disk(tmp_path, 1, script),
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second, left = done.stdout.splitlines()
    assert "a.flac: the sound cannot be written: " in first and "a.flac: " in second
    assert left == "left []"
