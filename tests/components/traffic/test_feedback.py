"""Feedback: kept with what it corrects; unknown, repeated and contradictory; as a corpus."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError, Unavailable
from components.conversation import FEEDBACK, read_audio, read_manifest
from components.traffic import (
    Correction,
    ErasedTurns,
    Feedback,
    FeedbackStore,
    TurnLog,
    UnknownRequestError,
    audio_path,
    contradicted,
    export_feedback,
    keep_audio,
    standing,
)
from tests.components.traffic.conftest import MakeAnswer, Write


@pytest.fixture(autouse=True)
def logged(log: TurnLog, write: Write, answer: MakeAnswer) -> None:
    """Three requests of two turns each; the first one's sound was kept."""
    first = answer(0, audio=True)
    write(first, answer(1), answer(2))
    path = audio_path(log.folder, first.recording, first.request_id, first.time)
    keep_audio(path, np.linspace(-0.5, 0.5, 80_000, dtype="f4"))


@pytest.fixture
def store(address: str) -> Iterator[FeedbackStore]:
    opened = FeedbackStore(address)
    yield opened
    opened.close()


def say(
    store: FeedbackStore,
    emotion: str,
    source: str = "agent",
    request: str = "request-0000",
    turn: int = 0,
    author: str = "",
) -> tuple[bool, int, str]:
    """Give feedback: whether it was new, how many contradict it, and what stands."""
    done = store.record(Correction(request, turn, emotion, source, author))
    return done.new, done.contradicts, done.stands


def test_feedback_is_kept_with_the_answer_it_corrects(
    store: FeedbackStore, answer: MakeAnswer
) -> None:
    assert say(store, "angry", turn=1) == (True, 0, "angry")
    (entry,) = store.entries()
    sent, turn = answer(0), answer(0).turns[1].turn
    assert entry.emotion == "angry"
    assert (entry.predicted, entry.speaker) == (turn.emotion, "B")
    assert entry.confidence == pytest.approx(turn.confidence)
    assert (entry.recording, entry.version) == (sent.recording, sent.version)
    assert (entry.time, entry.start, entry.end) == (sent.time, 3.0, 5.0)
    assert entry.given >= sent.time
    assert entry.given.utcoffset() == entry.time.utcoffset() == timedelta(0)


def test_feedback_on_what_was_never_answered_is_refused(store: FeedbackStore) -> None:
    with pytest.raises(UnknownRequestError, match="no request 'request-0009' is in the log"):
        say(store, "sad", request="request-0009")
    with pytest.raises(UnknownRequestError, match="has 2 turns, counted from 0; there is no turn"):
        say(store, "sad", turn=2)
    with pytest.raises(InputError, match="emotion 'furious': name one of angry"):
        say(store, "furious")
    with pytest.raises(InputError, match="source 'customer': name one of agent, reviewer"):
        say(store, "sad", source="customer")
    assert store.entries() == []


def test_what_is_said_twice_is_kept_once(store: FeedbackStore) -> None:
    assert say(store, "sad") == (True, 0, "sad")
    assert say(store, "sad") == (False, 0, "sad")
    assert say(store, "sad", author="kim") == (True, 0, "sad")  # somebody else agrees
    assert len(store.entries()) == 2


def test_contradictions_are_kept_and_a_reviewer_outranks_agents(
    store: FeedbackStore,
) -> None:
    assert say(store, "sad") == (True, 0, "sad")
    assert say(store, "happy") == (True, 0, "happy")  # the agent's vote is its latest
    assert say(store, "angry", "reviewer") == (True, 1, "angry")
    assert say(store, "sad") == (True, 1, "angry")  # an agent does not outrank a reviewer
    assert say(store, "neutral", "reviewer") == (True, 1, "neutral")
    assert say(store, "neutral", "reviewer") == (False, 1, "neutral")
    entries = store.entries()
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.emotion for entry in standing(entries)] == ["neutral"]
    say(store, "sad", turn=1)
    assert contradicted(store.entries()) == 1
    assert [entry.emotion for entry in standing(store.entries())] == ["neutral", "sad"]


def test_many_at_once_lose_nothing_and_repeat_nothing(address: str) -> None:
    """Two replicas' stores on one database, new to both; each author says the same four times."""
    with ThreadPoolExecutor(2) as pool:
        stores = list(pool.map(FeedbackStore, [address] * 2))
    outcomes: list[bool] = []

    def work(number: int) -> None:
        author = f"agent-{number % 4}"
        outcomes.append(say(stores[number % 2], "sad", author=author)[0])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = stores[0].entries()
    assert len(outcomes) == 16
    assert sum(outcomes) == len(entries)
    assert {entry.author for entry in entries} == {f"agent-{n}" for n in range(4)}
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    for one in stores:
        one.close()


def test_entries_are_found_by_time_and_erased_by_recording(
    store: FeedbackStore, log: TurnLog, answer: MakeAnswer, now: datetime
) -> None:
    for request in ("request-0000", "request-0001"):
        say(store, "sad", request=request)
    assert len(store.entries(since=now)) == 2
    assert store.entries(since=now + timedelta(seconds=1)) == []
    assert log.erase([answer(0).recording]) == ErasedTurns(2 + 1, 1, 0)  # turns and sound
    assert [entry.request_id for entry in store.entries()] == ["request-0001"]


def test_an_address_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the feedback's database: "):
        FeedbackStore("nonsense")
    with pytest.raises(InputError, match="the feedback's database: "):
        FeedbackStore("oracle9://host/db")
    away = FeedbackStore(f"postgresql+psycopg2://moodline@/feedback?host={tmp_path}")
    with pytest.raises(Unavailable, match=r"the feedback's database: .*connection") as refused:
        away.entries()
    assert "\n" not in str(refused.value)
    assert (refused.value.exit_status, refused.value.http_status) == (2, 503)


def test_reading_a_database_that_nobody_wrote_makes_none(tmp_path: Path) -> None:
    name = tmp_path / "some where" / "feedback.db"
    for url in (f"sqlite:///{name}?timeout=30", f"sqlite:///{name}"):
        assert FeedbackStore.read(url) == []
        assert len(TurnLog(tmp_path / "nowhere", url).window()) == 0
    assert not name.parent.exists()


def test_export_makes_a_corpus_of_the_sound_that_was_kept(
    store: FeedbackStore, log: TurnLog, tmp_path: Path
) -> None:
    say(store, "sad")
    say(store, "happy", "reviewer")
    say(store, "angry", turn=1)
    say(store, "angry", request="request-0001")  # its sound was not kept
    done = export_feedback(store.entries(), log.folder, tmp_path / "out")
    assert asdict(done) == {"recordings": 1, "turns": 2, "without_audio": 1, "held": 0}
    (tmp_path / "out").rename(tmp_path / "elsewhere")  # it needs nothing of the log
    (recording,) = read_manifest(tmp_path / "elsewhere")
    assert (recording.name, recording.fold) == ("feedback-request-0000", FEEDBACK)
    assert [(u.start, u.end, u.emotion) for u in recording.utterances] == [
        (0.0, 2.0, "happy"),
        (3.0, 5.0, "angry"),
    ]
    assert len({u.speaker for u in recording.utterances}) == 2
    sound = read_audio(recording.audio)
    assert sound == pytest.approx(np.linspace(-0.5, 0.5, 80_000), abs=1e-4)


def test_nothing_to_export_is_one_line(store: FeedbackStore, log: TurnLog, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no feedback yet"):
        export_feedback(store.entries(), log.folder, tmp_path / "out")
    say(store, "angry", request="request-0001")
    with pytest.raises(InputError, match="of none of the 1 labelled turns the sound was kept"):
        export_feedback(store.entries(), log.folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_standing_is_the_same_in_any_order(store: FeedbackStore) -> None:
    for emotion, source in (("sad", "agent"), ("happy", "reviewer"), ("angry", "agent")):
        say(store, emotion, source)
    entries: list[Feedback] = store.entries()
    assert standing(reversed(entries)) == standing(entries)
    assert standing([replace(entries[0], number=9)])[0].emotion == "sad"
