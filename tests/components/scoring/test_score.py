"""The whole of `moodline score`: sums, what is missing, what is refused; ten hours of talk."""

import json

import numpy as np
import pytest

from components.base import InputError
from components.conversation import DEFAULT_LABELS, Turn
from components.scoring import (
    EmotionErrors,
    Scores,
    Share,
    TimeErrors,
    WordErrors,
    score,
    score_each,
)


def turn(name, start, end, speaker="A", emotion="sad", words="well then"):
    return Turn(name, start, end, speaker, words, emotion)


REFERENCE = [turn("one", 0, 10), turn("two", 0, 30)]
HYPOTHESIS = [turn("one", 0, 10, "1", "angry"), turn("two", 0, 15, "1", "sad", "well")]


def test_seconds_are_summed_before_they_are_divided():
    # one: 10 of 10 wrong; two: 15 of 30 missed. (10 + 15) / 40, not the mean of 1 and ½.
    scores = score(REFERENCE, HYPOTHESIS, "collar0")
    assert scores.teer == TimeErrors(missed=15, false_alarm=0, confusion=10, total=40)
    assert scores.teer.rate == 25 / 40
    assert scores.cpwer == WordErrors(1, 4)
    each = score_each(REFERENCE, HYPOTHESIS, "collar0")
    assert list(each) == ["one", "two"]
    assert each["one"] + each["two"] == scores


def test_json_is_the_contract():
    scores = json.loads(json.dumps(score(REFERENCE, HYPOTHESIS).to_json()))
    assert scores == {
        "convention": "wu2023",
        "teer": {
            "missed": 14.75,
            "false_alarm": 0.0,
            "confusion": 9.5,
            "total": 39.0,
            "rate": pytest.approx(24.25 / 39),
        },
        "steer": {
            "missed": 14.75,
            "false_alarm": 0.0,
            "confusion": 9.5,
            "total": 39.0,
            "rate": pytest.approx(24.25 / 39),
        },
        "eder": {
            "missed": 14.75,
            "false_alarm": 0.0,
            "confusion": 9.5,
            "overlap": 0.0,
            "total": 39.0,
            "rate": pytest.approx(24.25 / 39),
        },
        "der": {
            "missed": 14.75,
            "false_alarm": 0.0,
            "confusion": 0.0,
            "total": 39.0,
            "rate": pytest.approx(14.75 / 39),
        },
        "cpwer": {"errors": 1, "length": 4, "rate": 0.25},
        "emotion_cpwer": {"errors": 5, "length": 4, "rate": 1.25},
    }


def test_a_recording_missing_from_the_hypothesis_is_all_missed():
    scores = score(REFERENCE, HYPOTHESIS[:1], "collar0")
    assert scores.teer == TimeErrors(missed=30, false_alarm=0, confusion=10, total=40)
    assert scores.der == TimeErrors(missed=30, false_alarm=0, confusion=0, total=40)
    assert scores.cpwer == WordErrors(2, 4)


def test_an_empty_hypothesis_is_all_missed():
    scores = score(REFERENCE, [])
    assert scores.teer.rate == scores.steer.rate == scores.der.rate == scores.cpwer.rate == 1


@pytest.mark.parametrize(
    ("reference", "hypothesis", "options", "message"),
    [
        (REFERENCE[:1], HYPOTHESIS, {}, "recording two, which the reference lacks"),
        ([], HYPOTHESIS, {}, "the reference has no turns"),
        (REFERENCE, HYPOTHESIS, {"convention": "mine"}, "mine: no such convention; name one of wu"),
        (REFERENCE, HYPOTHESIS, {"uem": {"one": [(0, 1)]}}, "UEM has no line for recording two"),
    ],
)
def test_what_cannot_be_scored_is_named(reference, hypothesis, options, message):
    with pytest.raises(InputError, match=message) as raised:
        score(reference, hypothesis, **options)
    assert "\n" not in str(raised.value)


def test_many_strangers_are_one_line():
    strangers = [turn(f"call {i}", 0, 1) for i in range(100)]
    with pytest.raises(InputError, match=r"call 0, call 1, call 10 and 97 more"):
        score(REFERENCE, strangers)


def test_a_uem_is_read_for_each_recording():
    scores = score(REFERENCE, HYPOTHESIS, "collar0", {"one": [(0, 4)], "two": [(10, 20)]})
    assert scores.teer == TimeErrors(missed=5, false_alarm=0, confusion=4, total=14)


def test_what_has_no_emotions_or_words_gets_no_such_score():
    bare = [Turn("one", 0, 10, "1", ""), Turn("two", 0, 15, "1", "")]
    scores = score(REFERENCE, bare, "collar0")
    assert (scores.teer, scores.steer, scores.eder, scores.cpwer) == (None, None, None, None)
    assert scores.der == TimeErrors(missed=15, false_alarm=0, confusion=0, total=40)
    assert scores.to_json()["teer"] is None
    assert score(bare, HYPOTHESIS, "collar0").teer is None


def test_scores_of_two_conventions_do_not_add_up():
    zero = TimeErrors.zero()
    nothing = (zero, zero, EmotionErrors.zero(), zero, None, None)
    with pytest.raises(ValueError, match="do not add up"):
        Scores("wu2023", *nothing) + Scores("collar0", *nothing)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TimeErrors(-1, 0, 0, 1),
        lambda: TimeErrors(0, float("nan"), 0, 1),
        lambda: TimeErrors(1, 0, 1, 1.5),
        lambda: WordErrors(-1, 1),
        lambda: Share(2, 1),
    ],
)
def test_impossible_counts_are_refused(make):
    with pytest.raises(ValueError):
        make()


def test_counts_add_up_only_with_their_like():
    with pytest.raises(TypeError):
        TimeErrors.zero() + WordErrors.zero()
    assert sum([Share(1, 2), Share(2, 2)], start=Share.zero()) == Share(3, 4)


def test_error_on_agreed_speech():
    scores = TimeErrors(missed=4, false_alarm=2, confusion=3, total=10)
    assert scores.agreed == 6
    assert scores.rate_on_agreed == 0.5
    assert TimeErrors(4, 0, 0, 4).rate_on_agreed is None


def test_ten_hours_with_20000_turns_are_scored():
    random = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(3000)])
    reference, hypothesis = [], []
    for number in range(20_000):
        start, length = number * 1.8, random.uniform(0.9, 2.3)
        text = " ".join(words[random.zipf(1.3, random.integers(3, 10)) % 3000])
        speaker, emotion = random.integers(2), random.choice([*DEFAULT_LABELS, "other"])
        reference.append(turn("day", start, start + length, f"S{speaker}", emotion, text))
        start = max(0.0, start + random.normal(0, 0.2))
        speaker ^= random.random() < 0.1
        emotion = random.choice([emotion, *DEFAULT_LABELS])
        hypothesis.append(turn("day", start, start + length, f"{speaker}", emotion, text[5:]))
    scores = score(reference, hypothesis)
    assert 0 < scores.der.rate < scores.steer.rate
