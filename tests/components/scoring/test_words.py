"""cpWER, tcpWER, WER and word-speaker accuracy."""

import time
from functools import partial
from unicodedata import normalize

import jiwer
import meeteval
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base import InputError
from components.conversation import Turn
from components.scoring import (
    Share,
    WordErrors,
    cer,
    cpwer,
    normalise,
    score,
    score_words,
    tcpwer,
    wer,
    word_speaker_accuracy,
)
from components.scoring.score import MAX_SCORED


def turn(start, end, speaker, words):
    return Turn("talk", start, end, speaker, words)


def test_normalisation_is_what_it_says():
    assert normalise("  I'm FINE, “really” – aren’t-you? 9/11…") == (
        ["im", "fine", "really", "arent", "you", "9", "11"]
    )
    assert normalise(" … ") == []


def test_cpwer_pairs_speakers_for_the_fewest_errors():
    # A  how are you      →  2  How are you?        0 errors
    # B  fine thanks      →  1  fine                1 deletion
    #                        3  hello there         2 insertions
    reference = [turn(0, 1, "A", "how are you"), turn(1, 2, "B", "fine thanks")]
    hypothesis = [
        turn(1, 2, "1", "fine"),
        turn(0, 1, "2", "How are you?"),
        turn(3, 4, "3", "hello there"),
    ]
    assert cpwer(reference, hypothesis) == WordErrors(errors=3, length=5)


def test_cpwer_joins_a_speakers_turns_in_order_of_start():
    reference = [turn(0, 1, "A", "one two"), turn(2, 3, "A", "three")]
    hypothesis = [turn(2, 3, "1", "three"), turn(0, 1, "1", "one two")]
    assert cpwer(reference, hypothesis) == WordErrors(0, 3)


def test_a_word_given_to_the_wrong_speaker_is_two_errors():
    reference = [turn(0, 1, "A", "a b c"), turn(1, 2, "B", "d e f")]
    hypothesis = [turn(0, 1, "1", "a b"), turn(1, 2, "2", "c d e f")]
    assert cpwer(reference, hypothesis) == WordErrors(2, 6)
    assert wer(reference, hypothesis) == WordErrors(0, 6)


def test_silence_on_either_side():
    spoken = [turn(0, 1, "A", "a b")]
    for measure in (cpwer, tcpwer, wer):
        assert measure(spoken, []) == WordErrors(2, 2)
        assert measure(spoken, [turn(0, 1, "1", "…")]) == WordErrors(2, 2)
        assert measure([], spoken) == WordErrors(2, 0)
        assert measure([], []).rate is None


def test_wer_counts_all_three_kinds_of_error():
    # a b c d → a x c d e: one substitution, one insertion; then “b” lost
    reference = [turn(0, 1, "A", "a b c d"), turn(1, 2, "A", "a b")]
    hypothesis = [turn(0, 1, "1", "a x c d e"), turn(1, 2, "2", "a")]
    assert wer(reference, hypothesis) == WordErrors(3, 6)


def test_tcpwer_does_not_pair_words_that_are_far_apart():
    reference = [turn(0, 1, "A", "well")]
    assert tcpwer(reference, [turn(4, 5, "1", "well")]) == WordErrors(0, 1)
    assert tcpwer(reference, [turn(60, 61, "1", "well")]) == WordErrors(2, 1)


def test_word_speaker_accuracy():
    # reference   A: how are you      B: fine
    # hypothesis  1: how are    2: you find       “you” went to B; “find” is a word all the same
    reference = [turn(0, 3, "A", "how are you"), turn(3, 4.5, "B", "fine")]
    hypothesis = [turn(0, 2, "1", "How are"), turn(2, 4.5, "2", "you find")]
    assert word_speaker_accuracy(reference, hypothesis) == Share(3, 4)


def test_word_speaker_accuracy_leaves_lost_and_invented_words_to_wer():
    # reference   A: one two three            B: four
    # hypothesis  1: one [two three lost]     2: four        …a minute later 1: five
    reference = [turn(0, 3, "A", "one two three"), turn(3, 4, "B", "four")]
    hypothesis = [turn(0, 1, "1", "one"), turn(3, 4, "2", "four"), turn(64, 65, "1", "five")]
    assert word_speaker_accuracy(reference, hypothesis) == Share(2, 2)


def test_words_of_unknown_or_of_a_speaker_too_many_are_wrong():
    reference = [turn(0, 4, "A", "one two three four")]
    hypothesis = [
        turn(0, 2, "1", "one two"),
        turn(2, 3, "unknown", "three"),
        turn(3, 4, "2", "four"),
    ]
    assert word_speaker_accuracy(reference, hypothesis) == Share(2, 4)


def test_word_speaker_accuracy_of_nothing():
    assert word_speaker_accuracy([turn(0, 1, "A", "one")], []) == Share.zero()


def test_word_speaker_accuracy_takes_words_as_turns_of_one_word():
    # reference   A |so|     |yes|         overlapping words by different speakers, with times
    #             B     |no|
    reference = [turn(0, 1, "A", "so"), turn(1.4, 2, "B", "no"), turn(2, 3, "A", "yes")]
    hypothesis = [turn(0, 1, "1", "so"), turn(1.4, 2, "1", "no"), turn(2, 3, "1", "yes")]
    assert word_speaker_accuracy(reference, hypothesis) == Share(2, 3)


@pytest.mark.parametrize("words", ["café Ünal", "한국 사람", "パピプペポ", "Việt Nam", "İstanbul"])
def test_letters_count_the_same_however_they_are_written(words):
    whole, parts = (turn(0, 4, "A", normalize(form, words)) for form in ("NFC", "NFD"))
    assert whole.words != parts.words
    for count in (wer, cer, cpwer, tcpwer):
        assert count([whole], [parts]).errors == count([parts], [whole]).errors == 0
        assert count([parts], [parts]).length == count([whole], [whole]).length
    assert word_speaker_accuracy([whole], [parts]).rate == 1


def test_a_space_of_no_width_parts_words():
    assert normalise("ខ្ញុំ\u200bទៅ ផ្ទះ") == ["ខ្ញុំ", "ទៅ", "ផ្ទះ"]


def crowd(size, prefix, shift=0.0):
    times = (10 * i + shift for i in range(2 * size))
    return [turn(at, at + 9, f"{prefix}{i % size}", "so it is") for i, at in enumerate(times)]


def test_a_thousand_speakers_take_seconds():
    began = time.monotonic()
    scores = score(crowd(MAX_SCORED, "s"), crowd(MAX_SCORED, "h", 0.5), "collar0")
    assert time.monotonic() - began < 30
    assert scores.der.confusion == 0
    assert scores.der.missed == pytest.approx(MAX_SCORED)  # half a second of each turn
    assert scores.cpwer == WordErrors(0, 6 * MAX_SCORED)


@pytest.mark.parametrize("side", [0, 1])
def test_more_speakers_than_can_be_scored_are_refused_in_one_line(side):
    sides = [[turn(0, 1, "A", "so")], crowd(MAX_SCORED + 1, "s")]
    sides = sides if side else sides[::-1]
    name = ("reference", "hypothesis")[side]
    message = f"^the {name} names 1,001 speakers in recording talk; at most 1,000 can be scored$"
    for call in (score, partial(score_words, count=wer)):
        with pytest.raises(InputError, match=message):
            call(*sides)


def test_tcpwer_of_many_speakers_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"^recording talk has 21 speakers; tcpWER takes at most"):
        tcpwer(crowd(21, "s"), crowd(2, "h"))


TEXT = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=5).map(" ".join)
TURNS = st.lists(
    st.builds(
        lambda start, speaker, text: turn(start, start + 1, speaker, text),
        st.integers(0, 20),
        st.sampled_from("xyz"),
        TEXT,
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=100)
@given(reference=TURNS, hypothesis=TURNS)
def test_cpwer_is_meetevals(reference, hypothesis):
    def segments(turns):
        return meeteval.io.SegLST(
            [
                {
                    "session_id": "talk",
                    "speaker": t.speaker,
                    "start_time": t.start,
                    "end_time": t.end,
                    "words": t.words,
                }
                for t in turns
            ]
        )

    expected = meeteval.wer.cpwer(segments(reference), segments(hypothesis))["talk"]
    assert cpwer(reference, hypothesis) == WordErrors(expected.errors, expected.length)
    # Pairing within seconds only can never be cheaper.
    assert tcpwer(reference, hypothesis).errors >= expected.errors


@pytest.mark.parametrize("words", ["naïve café", "12 o'clock", "東京 ok"])
def test_other_letters_survive(words):
    assert wer([turn(0, 1, "A", words)], [turn(0, 1, "1", words.upper())]).errors == 0
    assert normalise(words)


@settings(max_examples=60)
@given(reference=TURNS, hypothesis=TURNS)
def test_wer_is_jiwers(reference, hypothesis):
    def text(turns):
        return " ".join(t.words for t in sorted(turns, key=lambda t: t.start)).strip()

    errors = wer(reference, hypothesis)
    if text(reference).split():
        expected = jiwer.process_words(" ".join(text(reference).split()),
                                       " ".join(text(hypothesis).split()))  # fmt: skip
        assert errors.rate == pytest.approx(expected.wer)
    assert errors.length == len(text(reference).split())


def test_words_are_summed_over_recordings():
    reference = [turn(0, 1, "A", "one two"), Turn("more", 0, 1, "A", "three")]
    hypothesis = [turn(0, 1, "1", "one")]
    for count in (wer, cpwer, tcpwer):
        assert score_words(reference, hypothesis, count) == WordErrors(2, 3)
    assert score_words(reference, [turn(0, 1, "1", "")], wer) is None
    with pytest.raises(InputError, match="recording other, which the reference lacks"):
        score_words(reference, [Turn("other", 0, 1, "1", "one")], wer)
