"""Tables and pages of turns say what was heard in each recording, silence too."""

from io import StringIO

import pytest
from rich.console import Console

from components.conversation import Turn
from components.reporting.turns_page import turns_page
from pipelines.cli.tables import turns_table

TURNS = [Turn("a", 0, 1, "A", "hello"), Turn("c", 0, 1, "B", "bye")]


def shown(names: list[str], turns: list[Turn]) -> list[str]:
    page = StringIO()
    Console(width=80, file=page).print(turns_table(turns, names))
    return [line.split()[-1] for line in page.getvalue().splitlines()[1:]]


def test_a_silent_recording_among_others_is_named() -> None:
    assert shown(["a", "b", "c"], TURNS) == ["a", "hello", "b", "speaks)", "c", "bye"]


def test_one_recording_needs_no_name() -> None:
    assert shown(["a"], TURNS[:1]) == ["hello"]
    assert shown(["a"], []) == ["speaks)"]


def test_the_page_names_it_too() -> None:
    page = turns_page(TURNS, ["a", "b", "c"])
    assert page.index("<h1>b</h1>") < page.index("Nobody speaks.") < page.index("<h1>c</h1>")


def test_an_emotion_that_the_model_is_not_sure_of_has_a_question_mark() -> None:
    turn = Turn("a", 0, 1, "A", "hello", "sad", confidence=0.4, uncertain=True)
    page = StringIO()
    Console(width=80, file=page).print(turns_table([turn], ["a"]))
    assert "sad?" in page.getvalue()
    assert ">sad? 40 %<" in turns_page([turn], ["a"])


@pytest.mark.parametrize(("sure", "says"), [(0.55, "Ann?"), (0.95, "Ann"), (None, "Ann")])
def test_a_speaker_who_may_be_another_has_a_question_mark(sure: float | None, says: str) -> None:
    turn = Turn("a", 0, 1, "Ann", "hello", speaker_confidence=sure)
    page = StringIO()
    Console(width=80, file=page).print(turns_table([turn], ["a"]))
    assert page.getvalue().splitlines()[1].split()[1] == says
    html = turns_page([turn], ["a"])
    assert f">{says}</td>" in html
    assert ("% sure of the speaker" in html) == (sure is not None)


class Asked(str):
    """A name that counts how often it was compared."""

    times = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Asked.times += 1
        return str.__eq__(self, other)


def test_each_turn_is_looked_at_once_however_many_speak() -> None:
    page = turns_page([Turn("a", i, i + 1, Asked(f"S{i:02}"), "hello") for i in range(100)])
    assert page.index(">S00</text>") < page.index(">S99</text>")
    assert Asked.times < 2_000
