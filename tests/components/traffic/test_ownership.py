"""Feedback belongs to whoever asked; a sender's id correlates requests and names none of them."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError
from components.conversation import read_manifest
from components.traffic import (
    AmbiguousRequestError,
    Asker,
    Correction,
    FeedbackStore,
    LoggedRequest,
    TooManyStatementsError,
    TurnLog,
    UnknownRequestError,
    audio_path,
    export_feedback,
    keep_audio,
)
from components.traffic.tables import TURNS
from tests.components.traffic.conftest import MakeAnswer, Write

A, B = "key-a", "key-b"


@pytest.fixture
def store(address: str) -> Iterator[FeedbackStore]:
    with closing(FeedbackStore(address)) as opened:
        yield opened


def say(
    store: FeedbackStore,
    request: str,
    emotion: str,
    owner: str = "",
    *,
    recordings: tuple[str, ...] = (),
    turn: int = 0,
) -> str:
    """Give feedback; the request that it was taken for."""
    correction = Correction(request, turn, emotion, "agent", owner, owner)
    return store.record(correction, Asker(owner, recordings)).entry.request_id


def as_version_0_1(log: TurnLog) -> None:
    """It noted neither keys nor the senders' ids."""
    with log.open().begin() as connection:
        connection.execute(TURNS.update().values(owner=None, correlation=None))


def test_another_key_finds_no_answer(
    store: FeedbackStore, write: Write, answer: MakeAnswer
) -> None:
    write(replace(answer(1), owner=A, correlation="call-42"))
    for request in ("request-0001", "call-42"):
        for owner in (B, ""):
            with pytest.raises(UnknownRequestError, match="no request"):
                say(store, request, "sad", owner)
    assert store.entries() == []
    assert say(store, "call-42", "sad", A) == "request-0001"
    assert say(store, "request-0001", "happy", A) == "request-0001"


def test_an_old_id_is_taken_while_it_means_one_recording(
    store: FeedbackStore, write: Write, answer: MakeAnswer, now: datetime
) -> None:
    first, other = answer(1, recording="one"), answer(2, recording="two")
    again = replace(first, request_id="request-0003", time=now + timedelta(seconds=1))
    write(*(replace(r, correlation="trace-7") for r in (first, again)))
    assert say(store, "trace-7", "sad") == "request-0003"  # sent twice: the later answer
    write(replace(other, correlation="trace-7"))
    with pytest.raises(AmbiguousRequestError, match=r"'trace-7'.*request-0001, request-0002"):
        say(store, "trace-7", "sad")
    assert say(store, "trace-7", "sad", recordings=("two",)) == "request-0002"
    assert say(store, "request-0001", "angry") == "request-0001"
    assert {e.recording for e in store.entries()} == {"one", "two"}


def test_one_name_for_two_sounds_is_no_repetition(
    store: FeedbackStore, write: Write, answer: MakeAnswer
) -> None:
    """As where a browser calls every upload “blob”."""
    for number, turns in ((1, 2), (2, 3)):
        request = answer(number, recording="blob", turns=turns)
        write(replace(request, correlation="trace-7"))
    with pytest.raises(AmbiguousRequestError, match="2 different requests"):
        say(store, "trace-7", "sad")


def test_an_answer_of_version_0_1_is_shown_to_be_the_callers(
    log: TurnLog, store: FeedbackStore, write: Write, answer: MakeAnswer
) -> None:
    write(answer(1, recording="a's"))
    as_version_0_1(log)
    assert say(store, "request-0001", "sad") == "request-0001"  # no key is needed
    for recordings in ((), ("b's",)):
        with pytest.raises(UnknownRequestError):
            say(store, "request-0001", "sad", B, recordings=recordings)
    assert say(store, "request-0001", "happy", A, recordings=("a's",)) == "request-0001"


def test_an_export_of_version_0_1_never_mixes_recordings(
    log: TurnLog, store: FeedbackStore, write: Write, answer: MakeAnswer, tmp_path: Path
) -> None:
    sent: list[LoggedRequest] = []
    for number, recording in ((1, "1" * 32), (2, "2" * 32)):
        request = answer(number, recording=recording, audio=True)
        sent.append(replace(request, request_id="trace-7"))
        path = audio_path(log.folder, recording, "trace-7", request.time)
        keep_audio(path, np.full(80_000, number / 10, "f4"))
    write(*sent)
    as_version_0_1(log)
    with pytest.raises(AmbiguousRequestError):
        say(store, "trace-7", "sad")
    for request, emotion in zip(sent, ("sad", "angry"), strict=True):
        say(store, "trace-7", emotion, recordings=(request.recording,))
    done = export_feedback(store.entries(), log.folder, tmp_path / "out")
    assert (done.recordings, done.turns) == (2, 2)
    labels = {r.name: [u.emotion for u in r.utterances] for r in read_manifest(tmp_path / "out")}
    assert labels == {
        "feedback-trace-7-11111111": ["sad"],
        "feedback-trace-7-22222222": ["angry"],
    }


def test_a_key_has_one_vote_and_an_end_of_statements(
    store: FeedbackStore, write: Write, answer: MakeAnswer
) -> None:
    write(answer(1))
    emotions = ("sad", "angry")
    taken = 0
    with pytest.raises(TooManyStatementsError, match="20 statements"):
        for number in range(600):  # authors that are invented
            said = Correction("request-0001", 0, emotions[number % 2], "agent", f"x{number}", "")
            assert store.record(said, Asker()).contradicts == 0
            taken += 1
    assert taken == len(store.entries()) == 20
    other = Correction("request-0001", 0, "happy", "agent", "web", "web")
    assert store.record(other, Asker()).contradicts == 1


def test_feedback_is_dropped_by_author_request_and_time(
    store: FeedbackStore, write: Write, answer: MakeAnswer
) -> None:
    write(answer(1), answer(2))
    for number, author in enumerate(("kim", "lee", "kim")):
        said = Correction(f"request-000{1 + number // 2}", number % 2, "sad", "agent", author)
        store.record(said)
    before = store.entries()
    assert store.drop(author="kim", request="request-0001") == 1
    assert store.drop(since=before[-1].given + timedelta(seconds=1)) == 0
    assert [e.author for e in store.entries()] == ["lee", "kim"]
    store.record(Correction("request-0001", 0, "angry", "agent", "lee"))
    assert store.drop(since=min(e.given for e in before)) == 3
    assert store.entries() == []
    with pytest.raises(InputError, match="there is no feedback yet"):
        export_feedback(store.entries(), Path("log"), Path("out"))
