"""Answers of versions with labels of their own, beside those of before versions had any."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import update

from components.base import InputError
from components.conversation import DEFAULT_LABELS, Turn
from components.traffic import (
    Correction,
    FeedbackStore,
    LoggedRequest,
    LoggedTurn,
    TurnLog,
    export_log,
    read_export,
)
from components.traffic.older_log import migrate
from components.traffic.rows import schema
from components.traffic.tables import FEEDBACK, TURNS
from tests.components.traffic.conftest import NOW, MakeAnswer, Write

TWO = ("tense", "sehr ruhig")
SIX = ("sad", "calm", "angry", "bored", "proud", "shy")


def answer_of(labels: tuple[str, ...], version: int) -> LoggedRequest:
    """An answer that says the last of the labels."""
    row = [0.4 / (len(labels) - 1)] * (len(labels) - 1) + [0.6]
    turn = Turn("call", 0.0, 2.0, "A", "hello").answered(row, labels)
    measures = dict.fromkeys(("duration", "words_per_second", "loudness_db", "snr_db"), 1.0)
    logged = LoggedTurn(turn, np.zeros(8, "f4"), measures)
    name = f"request-of-{version}"
    about = (name, f"{version:032x}", NOW, "/v1/analyze", version, "production", False, (logged,))
    return LoggedRequest(*about, labels=labels)


@pytest.fixture
def store(address: str) -> Iterator[FeedbackStore]:
    with closing(FeedbackStore(address)) as opened:
        yield opened


def test_each_answer_is_logged_with_its_labels_and_exported_so(
    log: TurnLog, write: Write, tmp_path: Path
) -> None:
    write(answer_of(TWO, 8), answer_of(SIX, 9))
    two, six = log.window().to_pylist()
    assert (two["labels"], two["emotion"]) == (list(TWO), "sehr ruhig")
    assert two["probabilities"] == pytest.approx([0.4, 0.6])
    assert (six["labels"], six["emotion"]) == (list(SIX), "shy")
    assert six["probabilities"] == pytest.approx([0.08] * 5 + [0.6])
    assert six["entropy"] == pytest.approx(-(5 * 0.08 * np.log2(0.08) + 0.6 * np.log2(0.6)))
    export_log(log, tmp_path / "out")
    assert read_export(tmp_path / "out").equals(log.window())


def test_feedback_names_a_label_of_the_version_that_answered(
    log: TurnLog, write: Write, store: FeedbackStore, answer: MakeAnswer
) -> None:
    write(answer_of(TWO, 8), answer_of(SIX, 9), answer(0, version=3))
    for request, version, own, foreign in (
        ("request-of-8", 8, TWO, "sad"),
        ("request-of-9", 9, SIX, "happy"),
        ("request-0000", 3, DEFAULT_LABELS, "calm"),
    ):
        with pytest.raises(InputError) as refused:
            store.record(Correction(request, 0, foreign, "agent"))
        assert str(refused.value) == (
            f"emotion {foreign!r}: name one of {', '.join(own)}, the labels of version {version},"
            " which answered"
        )
        for label in own:
            entry = store.record(Correction(request, 0, label, "agent")).entry
            assert (entry.emotion, entry.labels) == (label, own)
    assert {(e.version, e.labels) for e in store.entries()} == {
        (8, TWO), (9, SIX), (3, DEFAULT_LABELS)
    }  # fmt: skip


def test_rows_of_before_name_no_labels_and_have_the_default_ones(
    log: TurnLog, write: Write, store: FeedbackStore, answer: MakeAnswer
) -> None:
    write(answer(0))
    store.record(Correction("request-0000", 0, "sad", "agent"))
    with log.open().begin() as connection:
        for table in (TURNS, FEEDBACK):
            assert connection.execute(update(table).values(labels=None)).rowcount
    assert {tuple(row["labels"]) for row in log.window().to_pylist()} == {DEFAULT_LABELS}
    store.record(Correction("request-0000", 1, "happy", "agent"))
    with pytest.raises(InputError, match="name one of angry, happy, neutral, sad, the labels"):
        store.record(Correction("request-0000", 1, "calm", "agent"))
    assert {entry.labels for entry in store.entries()} == {DEFAULT_LABELS}


def test_files_of_before_have_no_such_column_and_are_read(
    log: TurnLog, write: Write, answer: MakeAnswer, tmp_path: Path
) -> None:
    write(answer(0), answer(1))
    whole = log.window()
    older = whole.drop_columns(["labels"])
    (tmp_path / "days").mkdir()
    pq.write_table(older, tmp_path / "days" / "turns.parquet")
    assert read_export(tmp_path / "days").equals(whole)
    with pytest.raises(InputError, match="is no file of a prediction log"):
        pq.write_table(older.drop_columns(["emotion"]), tmp_path / "days" / "other.parquet")
        read_export(tmp_path / "days")

    rolled = tmp_path / "older" / "turns" / "day=2026-03-02" / "a.parquet"
    rolled.parent.mkdir(parents=True)
    pq.write_table(older, rolled)
    with closing(TurnLog(tmp_path / "older", f"sqlite:///{tmp_path}/older.db")) as migrated_log:
        migrate(tmp_path / "older", migrated_log.open())
        assert migrated_log.window().sort_by([("request_id", "ascending"), ("turn", "ascending")]
        ).equals(whole.sort_by([("request_id", "ascending"), ("turn", "ascending")]))  # fmt: skip


def test_labels_stand_in_the_database_as_text_that_people_can_read(
    log: TurnLog, write: Write
) -> None:
    write(answer_of(("größer", "kleiner"), 8))
    with log.open().begin() as connection:
        (text,) = connection.exec_driver_sql("SELECT labels FROM moodline_turns").scalars()
    assert json.loads(text) == ["größer", "kleiner"]
    assert "größer" in text
    assert schema().field("labels").type == pa.list_(pa.string())
