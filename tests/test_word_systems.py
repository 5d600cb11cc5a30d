"""The ways to give words to speakers that the benchmarks hold ours against do what they say.

But WhisperX's own: it takes as long to import as all tests of alignment take.
"""

import pytest

from components.conversation import AsrSegment, SpeakerSegment, Word
from tests.real.test_alignment import heard
from tests.word_systems import SYSTEMS, realigned


def segment(text: str, start: float = 0.0) -> AsrSegment:
    """A word each half second, 0.4 s long."""
    words = [Word(w, start + i / 2, start + i / 2 + 0.4) for i, w in enumerate(text.split())]
    return AsrSegment(start, start + len(words) / 2, text, tuple(words))


def by(system: str, text: str, *speakers: SpeakerSegment) -> list[tuple[str, str]]:
    turns = SYSTEMS[system]([segment(text)], speakers, "talk")
    return [(turn.speaker, turn.words) for turn in turns]


# “you?” begins at 1.0 s: it is B's by its time, and ends A's sentence.
TWO = (SpeakerSegment(0.0, 0.9, "A"), SpeakerSegment(0.9, 3.0, "B"))


def test_words_go_to_speakers_each_in_its_way() -> None:
    text = "how are you? fine thanks."
    split = [("A", "how are"), ("B", "you? fine thanks.")]
    assert by("overlap", text, *TWO) == split
    whole = [("A", "how are you?"), ("B", "fine thanks.")]
    assert by("sentences", text, *TWO) == whole
    assert by("punctuation", text, *TWO) == whole


def test_words_in_nobodys_speech() -> None:
    late = SpeakerSegment(5.0, 6.0, "A")
    assert by("punctuation", "how are you?", late) == [("A", "how are you?")]
    assert by("punctuation", "how are you?") == [("unknown", "how are you?")]


@pytest.mark.parametrize(
    ("text", "owners", "expected"),
    [
        ("a b c. d", "1122", "1112"),  # most of the sentence's words are 1's
        ("a b c. d", "1222", "2222"),
        ("a b. c d.", "1122", "1122"),  # the change is where a sentence ends
        ("a b c d", "1122", "1122"),  # no end: theirs breaks off
        ("a. b c d e f. g", "1123451", "1123451"),  # nobody has half
        ("a. b c d e f. g", "1122341", "1222221"),  # half, rounded down
    ],
)
def test_sentences_are_given_to_who_has_most_of_their_words(
    text: str, owners: str, expected: str
) -> None:
    assert "".join(realigned(text.split(), list(owners))) == expected


def test_a_sentence_of_more_than_fifty_words_stays_as_it_is() -> None:
    for length, changed in ((50, True), (51, False)):
        words = [*["w"] * (length - 1), "w."]
        owners = ["1"] * (length - 1) + ["2"]
        assert (realigned(words, owners) != owners) is changed


def test_of_words_at_once_the_first_is_heard() -> None:
    spoken = [
        (0, Word("so", 0.0, 1.0, speaker="A")),
        (1, Word("yes", 0.4, 0.6, speaker="B")),  # within “so”
        (2, Word("half", 0.8, 1.2, speaker="B")),  # exactly half
        (3, Word("own", 0.1, 0.3, speaker="A")),  # within their own
    ]
    assert [number for number, _ in heard(spoken)] == [0, 3, 2]
