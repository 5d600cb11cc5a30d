"""cpWER for emotions, by hand, against cpWER, and against all pairings of speakers."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from components.conversation import Turn
from components.scoring import WordErrors, cpwer, emotion_cpwer


def turn(start, speaker, words, emotion="sad"):
    return Turn("talk", start, start + 1, speaker, words, emotion)


REFERENCE = [turn(0, "A", "how are you"), turn(2, "B", "fine", "angry")]


@pytest.mark.parametrize(
    ("hypothesis", "errors"),
    [
        ([turn(0, "1", "How are you?"), turn(2, "2", "Fine.", "angry")], 0),
        ([turn(0, "1", "how are you"), turn(2, "2", "fine", "sad")], 2),  # another emotion
        ([turn(0, "1", "how are you"), turn(2, "1", "fine", "angry")], 2),  # another speaker
        ([turn(0, "1", "how are you"), turn(2, "2", "five", "angry")], 1),  # another word
        ([turn(0, "1", "how are you"), turn(2, "2", "five", "sad")], 2),  # another in both
        ([turn(0, "1", "how are you"), turn(2, "2", "fine", None)], 2),  # no emotion
        ([turn(0, "1", "how are you")], 1),
        ([], 4),
    ],
)
def test_a_word_its_speaker_and_its_emotion_must_be_right(hypothesis, errors):
    assert emotion_cpwer(REFERENCE, hypothesis) == WordErrors(errors, 4)


def test_other_emotions_are_left_out_with_what_was_heard_during_them():
    # reference   |A sad: so it is|B surprised: oh no|B angry: go|
    # hypothesis  |1 sad: so it is|2 angry: oh   no        now go|
    reference = [turn(0, "A", "so it is"), turn(1, "B", "oh no", "surprised"),
                 turn(2, "B", "go", "angry")]  # fmt: skip
    hypothesis = [turn(0, "1", "so it is"), Turn("talk", 1, 3, "2", "oh no now go", "angry")]
    assert emotion_cpwer(reference, hypothesis) == WordErrors(1, 4)  # “now”
    assert emotion_cpwer(reference[1:2], hypothesis[1:]) == WordErrors(2, 0)  # after it
    assert emotion_cpwer([], hypothesis[1:]) == WordErrors(4, 0)
    # Who speaks at the same time with an emotion that is scored keeps what is heard there.
    both = [*reference, turn(1, "A", "oh no")]
    assert emotion_cpwer(both, hypothesis).length == 6
    labels = ["sad", "angry", "surprised"]
    assert emotion_cpwer(reference, hypothesis, labels) == WordErrors(5, 6)


TURNS = st.lists(
    st.builds(
        turn,
        st.integers(0, 9),
        st.sampled_from("xyz"),
        st.lists(st.sampled_from("abc"), max_size=3).map(" ".join),
        st.sampled_from(["sad", "angry"]),
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(reference=TURNS, hypothesis=TURNS)
def test_no_pairing_of_speakers_has_fewer_errors(reference, hypothesis):
    def words(turns, speaker, emotion):
        own = [t for t in turns if (t.speaker, t.emotion) == (speaker, emotion)]
        return " ".join(t.words for t in sorted(own, key=lambda t: t.start)).split()

    fewest = min(
        sum(
            Levenshtein.distance(words(reference, one, emotion), words(hypothesis, other, emotion))
            for one, other in zip("xyz", heard, strict=True)
            for emotion in ("sad", "angry")
        )
        for heard in permutations("xyz")
    )
    assert emotion_cpwer(reference, hypothesis).errors == fewest
    # With one emotion throughout it is cpWER, which is held to meeteval.
    calm = [[replace(t, emotion="sad") for t in turns] for turns in (reference, hypothesis)]
    assert emotion_cpwer(*calm) == cpwer(*calm)
