"""Who said each word: errors, changes of speaker, whole utterances."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from components.base import InputError
from components.conversation import Turn
from components.scoring import (
    Matches,
    Share,
    WordErrors,
    WordSpeakers,
    cpwer,
    speaker_changes,
    tcpwer,
    word_speakers,
)


def turn(start, end, speaker, words, name="talk"):
    return Turn(name, start, end, speaker, words)


REFERENCE = [
    turn(0, 2, "A", "how are you"),
    turn(2.4, 3, "B", "fine"),
    turn(3.1, 4, "A", "good"),
]


def test_a_word_that_went_to_the_next_speaker():
    hypothesis = [
        turn(0, 1.3, "1", "how are"),
        turn(1.3, 3, "2", "you fine"),
        turn(3.2, 4, "1", "good"),
    ]
    scores = word_speakers(REFERENCE, hypothesis)
    assert scores.errors == WordErrors(1, 5)
    assert scores.changes == Matches(found=1, hypothesis=2, reference=2)
    assert (scores.changes.precision, scores.changes.recall) == (0.5, 0.5)
    assert scores.whole == Share(1, 3)
    assert (scores.cpwer, scores.tcpwer) == (WordErrors(2, 5), WordErrors(2, 5))


def test_lost_and_invented_words_are_the_word_errors_matter():
    hypothesis = [turn(0, 2, "1", "how you"), turn(2.4, 3, "2", "fine"), turn(60, 61, "2", "oh no")]
    scores = word_speakers(REFERENCE, hypothesis)
    assert scores.errors == WordErrors(0, 3)
    assert scores.whole == Share(2, 3)  # nothing stands for “good”
    assert scores.cpwer == cpwer(REFERENCE, hypothesis)
    assert scores.tcpwer == tcpwer(REFERENCE, hypothesis)


def test_speakers_are_mapped_by_words_not_by_seconds():
    # Speaker 2 talks longer with A, but shares more words with B.
    reference = [turn(0, 10, "A", "well"), turn(10, 11, "B", "no not at all")]
    hypothesis = [turn(0, 11, "2", "well no not at all")]
    assert word_speakers(reference, hypothesis).errors == WordErrors(1, 5)


def test_unknown_and_a_speaker_too_many_are_wrong():
    hypothesis = [turn(0, 2, "1", "how are you"), turn(2.4, 3, "unknown", "fine"),
                  turn(3.1, 4, "3", "good")]  # fmt: skip
    assert word_speakers(REFERENCE, hypothesis).errors == WordErrors(2, 5)
    nobody = [turn(t.start, t.end, "unknown", t.words) for t in REFERENCE]
    assert word_speakers(REFERENCE, nobody).errors == WordErrors(5, 5)


def test_the_same_words_are_paired_with_themselves_however_far_their_times_lie_apart():
    late = [turn(t.start + 100, t.end + 100, t.speaker, t.words) for t in REFERENCE]
    scores = word_speakers(REFERENCE, late)
    assert scores.errors == WordErrors(0, 5)
    assert scores.whole == Share(3, 3)
    assert scores.changes.found == 0
    assert scores.tcpwer.errors == 10


def test_a_word_of_two_parts_is_one_word():
    spoken = [turn(0, 1, "A", "So –"), turn(1, 2, "B", "mm-hmm, yes")]
    heard = [turn(0, 1.5, "1", "so mm-hmm"), turn(1.5, 2, "2", "yes")]
    assert word_speakers(spoken, heard).errors == WordErrors(1, 3)


def test_words_with_times_of_their_own_have_their_utterances_named():
    reference = [turn(i, i + 0.9, "AAB"[i], "word") for i in range(3)]
    for utterances, total in (([0, 0, 1], 2), (None, 3)):
        scores = word_speakers(reference, reference, utterances, utterances)
        assert scores.whole == Share(total, total)
    torn = word_speakers(reference, reference, [0, 0, 1], None)
    assert torn.whole == Share(1, 2)
    merged = word_speakers(reference, reference, None, [0, 0, 1])
    assert merged.whole == Share(1, 3)


def test_changes_where_somebody_speaks_within_anothers_turn():
    long = turn(0, 10, "A", "so …")
    assert speaker_changes([long, turn(3, 3.5, "B", "yeah")]) == [3, 3.5]
    assert speaker_changes([long, turn(9.8, 12, "B", "but")]) == [9.8]
    assert speaker_changes([long, turn(3, 3.5, "A", "uh")]) == []
    assert speaker_changes([long, turn(3, 3, "B", "")]) == []
    assert speaker_changes([long, turn(12, 12, "B", "oh"), turn(13, 14, "A", "no")]) == [12, 13]
    assert speaker_changes([]) == []


@pytest.mark.parametrize(("shift", "found"), [(0.25, 1), (-0.25, 1), (0.26, 0), (-0.26, 0)])
def test_a_change_is_found_within_a_quarter_of_a_second(shift, found):
    one, other = turn(0, 1, "A", "a"), turn(2.1, 3, "B", "b")
    moved = turn(2.1 + shift, 3, "2", "b")
    assert word_speakers([one, other], [turn(0, 1, "1", "a"), moved]).changes.found == found


def test_recordings_add_up():
    more = [turn(0, 1, "A", "yes", "more"), turn(1, 2, "B", "no", "more")]
    hypothesis = [turn(0, 2, "1", "yes no", "more")]
    both = word_speakers([*REFERENCE, *more], [*REFERENCE, *hypothesis])
    assert both == word_speakers(REFERENCE, REFERENCE) + word_speakers(more, hypothesis)
    assert both.errors == WordErrors(1, 7)
    with pytest.raises(InputError, match="recording other, which the reference lacks"):
        word_speakers(REFERENCE, [turn(0, 1, "1", "so", "other")])


def test_nothing_heard():
    scores = word_speakers(REFERENCE, [])
    assert scores.errors == WordErrors(0, 0)
    assert scores.errors.rate is scores.changes.precision is None
    assert scores.changes.recall == 0
    assert scores.whole == Share(0, 3)
    assert scores.cpwer == WordErrors(5, 5)
    assert word_speakers(REFERENCE, []) + WordSpeakers.zero() == scores


def test_more_speakers_than_tcpwer_takes():
    crowd = [turn(i, i + 1, f"s{i}", "so it is") for i in range(21)]
    scores = word_speakers(crowd, crowd)
    assert scores.tcpwer is None
    assert scores.to_json()["tcpwer"] is None
    assert scores.errors == WordErrors(0, 63)


def test_more_words_than_memory_is_for_are_refused_in_one_line():
    long = [turn(0, 20_000, "A", "so it " * 20_001)]
    for sides in ((long, REFERENCE), (REFERENCE, long)):
        with pytest.raises(InputError, match=r"^recording talk has 40,002 words; who said each"):
            word_speakers(*sides)


STREAM = st.lists(
    st.tuples(st.sampled_from("ABC"), st.sampled_from("123?"), st.integers(0, 6)), max_size=12
)


def sides(stream):
    """One word after the other: who says it, whom it was given to, half seconds until the next."""
    start, reference, hypothesis = 0.0, [], []
    for number, (spoken, heard, pause) in enumerate(stream):
        reference.append(turn(start, start + 0.3, spoken, f"w{number}"))
        label = "unknown" if heard == "?" else heard
        hypothesis.append(turn(start + 0.1 * (pause % 3), start + 0.3, label, f"w{number}"))
        start += 0.3 + pause / 8
    return reference, hypothesis


@settings(max_examples=100)
@given(STREAM)
def test_no_mapping_leaves_fewer_errors(stream):
    reference, hypothesis = sides(stream or [("A", "1", 0)])
    pairs = [(r.speaker, h.speaker) for r, h in zip(reference, hypothesis, strict=True)]
    fewest = min(
        sum(dict(zip("123", columns, strict=True)).get(heard) != spoken for spoken, heard in pairs)
        for columns in permutations("ABC")
    )
    assert word_speakers(reference, hypothesis).errors == WordErrors(fewest, len(pairs))


@settings(max_examples=100)
@given(STREAM)
def test_no_pairing_finds_more_changes(stream):
    reference, hypothesis = sides(stream or [("A", "1", 0)])
    times = [
        [b.start for a, b in pairwise(side) if a.speaker != b.speaker]
        for side in (reference, hypothesis)
    ]
    assert [speaker_changes(side) for side in (reference, hypothesis)] == times
    near = np.abs(np.subtract.outer(*map(np.array, times))).round(6) <= 0.25
    best = (maximum_bipartite_matching(csr_matrix(near)) >= 0).sum() if near.size else 0
    changes = word_speakers(reference, hypothesis).changes
    assert changes == Matches(best, len(times[1]), len(times[0]))


@settings(max_examples=50)
@given(STREAM)
def test_against_itself_everything_is_right_whatever_the_speakers_are_called(stream):
    reference, _ = sides(stream or [("A", "1", 0)])
    renamed = [turn(t.start, t.end, f"speaker {t.speaker}", t.words) for t in reference[::-1]]
    scores = word_speakers(reference, renamed)
    assert scores.errors == scores.cpwer == WordErrors(0, len(reference))
    assert scores.whole.rate == 1
    assert scores.changes.found == scores.changes.hypothesis == scores.changes.reference
