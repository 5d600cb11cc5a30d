"""An answer that was marked as uncertain is so in the log; what was logged before tells nothing."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from sqlalchemy import MetaData, create_engine, text

from components.conversation import mark_uncertain
from components.traffic import LoggedRequest, TurnLog, export_log, read_export
from components.traffic.older_log import migrate
from components.traffic.tables import METADATA, SCHEMA
from tests.components.traffic.conftest import MakeAnswer, Write

TABLES_OF_BEFORE = MetaData()
for table in METADATA.sorted_tables:
    if table.name != "moodline_speaker_feedback":
        table.to_metadata(TABLES_OF_BEFORE)
OF_BEFORE = replace(SCHEMA, tables=TABLES_OF_BEFORE, head="1.2")
"""The tables as they were before they had the column."""


def marked(request: LoggedRequest, below: float) -> LoggedRequest:
    """The request, answered by a version that calls less sure answers uncertain."""
    turns = mark_uncertain((logged.turn for logged in request.turns), below)
    pairs = zip(request.turns, turns, strict=True)
    return replace(request, turns=tuple(replace(logged, turn=turn) for logged, turn in pairs))


def test_each_turn_says_whether_its_answer_was_uncertain_and_an_export_says_so(
    log: TurnLog, write: Write, answer: MakeAnswer, tmp_path: Path
) -> None:
    sure = [logged.turn.confidence or 0.0 for logged in answer(1).turns]
    between = sum(sure) / 2
    write(marked(answer(1), between), marked(answer(2), 0.0), answer(3, turns=0))
    rows = log.window().to_pylist()
    told = {(row["request_id"][-1], row["turn"]): row["uncertain"] for row in rows}
    assert sorted(sure)[0] < between < sorted(sure)[1]
    assert told == {
        ("1", 0): sure[0] < between,
        ("1", 1): sure[1] < between,
        ("2", 0): False,
        ("2", 1): False,
        ("3", None): None,
    }
    export_log(log, tmp_path / "out")
    assert read_export(tmp_path / "out").equals(log.window())
    export_log(log, tmp_path / "all.parquet")
    assert pq.read_table(tmp_path / "all.parquet")["uncertain"].to_pylist().count(True) == 1


def test_files_of_before_have_no_such_column_and_are_read(
    log: TurnLog, write: Write, answer: MakeAnswer, tmp_path: Path
) -> None:
    write(marked(answer(0), 1.0))
    whole = log.window()
    for path in (tmp_path / "days" / "a.parquet", tmp_path / "old/turns/day=2026-03-02/a.parquet"):
        path.parent.mkdir(parents=True)
        pq.write_table(whole.drop_columns(["uncertain"]), path)
    read = read_export(tmp_path / "days")
    assert whole["uncertain"].to_pylist() == [True, True]
    assert read["uncertain"].to_pylist() == [None, None]
    assert read.drop_columns(["uncertain"]).equals(whole.drop_columns(["uncertain"]))
    with closing(TurnLog(tmp_path / "old", f"sqlite:///{tmp_path}/old.db")) as older:
        migrate(tmp_path / "old", older.open())
        assert older.window().sort_by("turn").equals(read.sort_by("turn"))


def test_a_database_of_before_gets_the_column_and_keeps_its_rows(
    address: str, answer: MakeAnswer, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    engine = create_engine(address)
    OF_BEFORE.upgrade(engine, "the feedback's database")
    with engine.begin() as connection:
        insert = "INSERT INTO moodline_turns (request_id, recording, time, version, turn)"
        connection.execute(text(f"{insert} VALUES ('a', 'b', '2026-03-02 10:00:00+00', 3, 0)"))
        names = connection.execute(text("SELECT * FROM moodline_turns")).keys()
        assert "labels" in names and "uncertain" not in names
    engine.dispose()
    with closing(TurnLog(tmp_path / "log", address)) as log:
        (row,) = log.window().to_pylist()
    assert (row["request_id"], row["turn"], row["uncertain"]) == ("a", 0, None)
