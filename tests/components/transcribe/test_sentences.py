"""Segments are cut where sentences end, and no word is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from components.align import flatten
from components.conversation import AsrSegment, Word
from components.transcribe.sentences import sentences


def segment(text: str, *, timed: bool = True, start: float = 0.0) -> AsrSegment:
    words = tuple(
        Word(word, start + i, start + i + 0.5) if timed else Word(word, None, None)
        for i, word in enumerate(text.split())
    )
    return AsrSegment(start, start + len(words), text, words)


def test_sentences_end_at_full_stops_and_questions_not_at_titles() -> None:
    parts = sentences([segment('Are you Mr. Hill? I said "no." 3.5 of them, then')])
    assert [(s.start, s.end, s.text) for s in parts] == [
        (0.0, 3.5, "Are you Mr. Hill?"),
        (4.0, 6.5, 'I said "no."'),
        (7.0, 10.5, "3.5 of them, then"),
    ]


def test_a_segment_of_one_sentence_keeps_its_bounds() -> None:
    one = segment("so be it")
    assert sentences([one]) == [one]
    assert sentences([AsrSegment(1, 2, "", ())]) == [AsrSegment(1, 2, "", ())]


def test_a_sentence_without_times_lies_between_its_neighbours() -> None:
    whole = segment("Yes. Well then. No.")
    words = [Word("Yes.", 1.0, 2.0), Word("Well", None, None), Word("then.", None, None),
             Word("No.", 5.0, 6.0)]  # fmt: skip
    parts = sentences([AsrSegment(0.5, 7.0, whole.text, tuple(words))])
    assert [(s.start, s.end) for s in parts] == [(1.0, 2.0), (2.0, 5.0), (5.0, 6.0)]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["so", "be it.", "no?", "Dr. Who", "end…", "“Ah!”", "a"]), min_size=1),
    st.booleans(),
)
def test_words_in_are_words_out(pieces: list[str], timed: bool) -> None:
    whole = segment(" ".join(pieces), timed=timed)
    parts = sentences([whole])
    assert [w for s in parts for w in s.words] == list(whole.words)
    if timed:
        # alignment does not see the cut: it works on the stream of words
        assert flatten(parts) == flatten([whole])
