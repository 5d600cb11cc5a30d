"""What turns do to utterances, each case drawn."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.conversation import DEFAULT_LABELS, Turn, Utterance
from components.scoring import find_faults, normalise, wer, word_speaker_accuracy


def said(place, start, end, speaker, text, emotion="sad"):
    return Utterance(f"talk-{place}", "talk", start, end, speaker, None, text, emotion)


def turn(start, end, speaker, words):
    return Turn("talk", start, end, speaker, words)


UTTERANCES = [
    said(0, 0, 4, "A", "I am so sorry to hear"),
    said(1, 5, 6, "B", "oh no", "angry"),
    said(2, 7, 8, "A", "please"),
]


def test_whole():
    # each utterance in a turn of its own
    faults = find_faults(UTTERANCES, [turn(u.start, u.end, f"S{u.speaker}", u.text)
                                     for u in UTTERANCES])  # fmt: skip
    assert all(f.whole for f in faults.utterances)
    assert all(t.utterances == t.speakers == t.emotions == 1 for t in faults.turns)
    assert sum(t.pauses for t in faults.turns) == 0


def test_broken_merged_mixed_lost_and_misattributed():
    # utterances 0|A: I am so sorry to hear|4  5|B: oh no|6  7|A: please|8
    # turns      0|1: I am|1 1.5|1: sorry to|3  3.5|2: hear      oh no      please|8
    turns = [turn(0, 1, "1", "I am"), turn(1.5, 3, "1", "sorry to"),
             turn(3.5, 8, "2", "hear oh no please")]  # fmt: skip
    first, second, third = find_faults(UTTERANCES, turns).utterances
    assert (first.words, first.lost, first.misattributed, first.turns) == (6, 1, 1, 3)
    assert first.broken and first.merged and first.mixed and not first.whole
    assert (second.lost, second.misattributed, second.turns, second.mixed) == (0, 0, 1, True)
    assert not second.broken and not second.whole
    assert (third.misattributed, third.mixed) == (1, True)
    last = find_faults(UTTERANCES, turns).turns[2]
    assert (last.utterances, last.speakers, last.emotions, last.misattributed) == (3, 2, 2, 2)
    assert (last.pauses, last.pause_seconds) == (2, 2.0)


def test_a_turn_over_two_utterances_of_one_speaker_is_merged_not_mixed():
    # utterances 0|A: so be it|2  3|A: then|4
    # turn       0|1: so be it       then|4
    utterances = [said(0, 0, 2, "A", "so be it"), said(1, 3, 4, "A", "then")]
    faults = find_faults(utterances, [turn(0, 4, "1", "so be it then")])
    assert [(f.merged, f.mixed, f.misattributed) for f in faults.utterances] == [
        (True, False, 0)
    ] * 2
    assert (faults.turns[0].pauses, faults.turns[0].pause_seconds) == (1, 1.0)


def test_silence_shorter_than_a_pause_is_none():
    utterances = [said(0, 0, 2, "A", "so be it"), said(1, 2.19, 4, "A", "then")]
    assert find_faults(utterances, [turn(0, 4, "1", "so be it then")]).turns[0].pauses == 0


def test_nobody_heard():
    (only,) = find_faults(UTTERANCES[1:2], []).utterances
    assert (only.words, only.lost, only.turns, only.whole) == (2, 2, 0, False)


TEXT = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(" ".join)
SPANS = st.tuples(st.integers(0, 30), st.integers(1, 4)).map(lambda p: (p[0], p[0] + p[1]))


@settings(max_examples=50)
@given(
    utterances=st.lists(
        st.builds(
            lambda span, who, text, mood: Utterance("", "talk", *span, who, None, text, mood),
            SPANS, st.sampled_from("AB"), TEXT, st.sampled_from([*DEFAULT_LABELS, "other"]),
        ),
        min_size=1, max_size=6,
    ),
    turns=st.lists(
        st.builds(
            lambda span, who, text: turn(*span, who, text), SPANS, st.sampled_from("12"), TEXT
        ),
        max_size=6,
    ),
)  # fmt: skip
def test_counts_agree_with_the_scores(utterances, turns):
    faults = find_faults(utterances, turns)
    reference = [u.as_turn() for u in utterances]
    words = sum(f.words for f in faults.utterances)
    assert words == sum(len(normalise(u.text)) for u in utterances)
    heard = words - sum(f.lost for f in faults.utterances)
    wrong = sum(f.misattributed for f in faults.utterances)
    assert word_speaker_accuracy(reference, turns).total == heard
    assert word_speaker_accuracy(reference, turns).correct == heard - wrong
    assert sum(t.misattributed for t in faults.turns) == wrong
    assert wer(reference, turns).length == words


@pytest.mark.parametrize("name", ["another", "talk "])
def test_turns_of_a_recording_that_the_reference_lacks_are_a_mistake(name):
    with pytest.raises(KeyError):
        find_faults(UTTERANCES, [Turn(name, 0, 1, "1", "oh")])
