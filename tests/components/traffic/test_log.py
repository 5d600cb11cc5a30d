"""The prediction log: what a row holds, what others read of it, and an export."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from components.base import InputError
from components.conversation import DEFAULT_LABELS
from components.traffic import (
    TurnLog,
    export_log,
    read_export,
    recording_id,
    recording_key,
    schema,
)
from components.traffic.answers import find_request
from components.traffic.tables import EXPORTED
from tests.components.traffic.conftest import MakeAnswer, Write, stored


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
    assert row["probabilities"] == [turn.probabilities[emotion] for emotion in DEFAULT_LABELS]
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
