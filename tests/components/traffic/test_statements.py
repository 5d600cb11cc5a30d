"""What one sender has said of an answer: read again, taken back, counted; nobody else's."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from components.conversation import DEFAULT_LABELS
from components.traffic import (
    Asker,
    Correction,
    FeedbackStore,
    LoggedRequest,
    Said,
    Statements,
    TooManyStatementsError,
    TurnLog,
    UnknownRequestError,
    owner_id,
)
from components.traffic.entries import Feedback
from tests.components.traffic.conftest import MakeAnswer, Write

KEY = b"k" * 32


@pytest.fixture(autouse=True)
def answered(write: Write, answer: MakeAnswer) -> LoggedRequest:
    """Key `a` has an answer of three turns."""
    request = replace(answer(0, turns=3), owner=owner_id("a", KEY))
    write(request)
    return request


@pytest.fixture
def said(address: str) -> Iterator[Statements]:
    with closing(Statements(address)) as opened:
        yield opened


NAME = "request-0000"
A, B = Asker(owner_id("a", KEY)), Asker(owner_id("b", KEY))


def say(address: str, turn: int, emotion: str) -> Feedback:
    with closing(FeedbackStore(address)) as store:
        return store.record(Correction(NAME, turn, emotion, "agent", "a", "a"), A).entry


def test_each_turns_last_word_is_read_and_taken_back(address: str, said: Statements) -> None:
    assert said.of_answer(NAME, A, "a") == []
    say(address, 0, "angry")
    say(address, 0, "happy")
    assert said.say_speaker(NAME, 2, "SPEAKER_07", A, "a", "a").new
    assert said.of_answer(NAME, A, "a") == [Said(0, "happy"), Said(2, speaker="SPEAKER_07")]
    assert said.withdraw(NAME, 0, "emotion", A, "a") == Said(0, "angry")
    assert said.withdraw(NAME, 0, "emotion", A, "a") == Said(0)
    assert said.withdraw(NAME, 0, "emotion", A, "a") == Said(0), "there is nothing left"
    assert said.withdraw(NAME, 2, "speaker", A, "a") == Said(2)
    assert said.of_answer(NAME, A, "a") == []
    assert say(address, 0, "angry").number == 1


def test_corrected_and_confirmed_turns_are_counted_once(
    address: str, said: Statements, answered: LoggedRequest
) -> None:
    first, second = (str(logged.turn.emotion) for logged in answered.turns[:2])
    for emotion in {*DEFAULT_LABELS} - {first}:
        say(address, 0, emotion)
    say(address, 1, second)
    said.say_speaker(NAME, 1, "B", A, "a", "a")
    said.say_speaker(NAME, 1, "SPEAKER_07", A, "a", "a")
    counts = said.count(3, "a")
    assert (counts.corrected, counts.confirmed, counts.speakers) == (1, 1, 1)
    for version, voter in ((4, "a"), (3, "b")):
        none = said.count(version, voter)
        assert (none.corrected, none.confirmed, none.speakers) == (0, 0, 0)


def test_an_answer_is_its_askers_alone(address: str, said: Statements) -> None:
    say(address, 0, "angry")
    with pytest.raises(UnknownRequestError):
        said.of_answer(NAME, B, "b")
    with pytest.raises(UnknownRequestError):
        said.withdraw(NAME, 0, "emotion", B, "b")
    with pytest.raises(UnknownRequestError, match="3 turns"):
        said.say_speaker(NAME, 3, "SPEAKER_01", A, "a", "a")
    assert said.of_answer(NAME, A, "a") == [Said(0, "angry")]


def test_one_sender_says_so_much_of_a_speaker(said: Statements) -> None:
    for number in range(20):
        assert said.say_speaker(NAME, 0, f"S{number}", A, "a", "a").number == number + 1
    assert not said.say_speaker(NAME, 0, "S19", A, "a", "a").new
    with pytest.raises(TooManyStatementsError):
        said.say_speaker(NAME, 0, "S0", A, "a", "a")


def test_an_erasure_and_a_drop_take_it_along(
    address: str, said: Statements, log: TurnLog, answered: LoggedRequest
) -> None:
    said.say_speaker(NAME, 0, "SPEAKER_07", A, "a", "a")
    with closing(FeedbackStore(address)) as store:
        assert store.drop(author="a") == 1
    said.say_speaker(NAME, 0, "SPEAKER_07", A, "a", "a")
    assert log.erase([answered.recording]).feedback == 1
    assert said.count(3, "a").speakers == 0
