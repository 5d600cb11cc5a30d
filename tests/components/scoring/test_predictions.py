"""Each reference utterance gets one answer, whatever turns a system made."""

import pytest

from components.conversation import Turn, Utterance
from components.scoring import utterance_predictions


def said(start, end, speaker="A", emotion="sad", name="talk"):
    return Utterance(f"{name}{start}{speaker}", name, start, end, speaker, None, "", emotion)


def turn(start, end, speaker, emotion, confidence=None, name="talk"):
    return Turn(name, start, end, speaker, "", emotion, confidence)


def emotions(utterances, turns):
    return [answer.emotion for answer in utterance_predictions(utterances, turns)]


def test_time_decides_not_the_number_of_turns():
    # utterance   0|-------- A --------|10
    # turns        |sad|1 |sad|2  |----- 3 angry -----|10
    turns = [turn(0, 1, "1", "sad"), turn(1, 2, "1", "sad"), turn(3, 10, "1", "angry")]
    assert emotions([said(0, 10)], turns) == ["angry"]


def test_only_the_part_inside_the_utterance_counts():
    # utterance         5|-- A --|10                 sad 2 s inside, angry 3 s inside
    # turns   0|-------- sad -------|7|- angry -|10
    turns = [turn(0, 7, "1", "sad"), turn(7, 10, "1", "angry")]
    assert emotions([said(5, 10)], turns) == ["angry"]


def test_only_the_mapped_speaker_answers():
    # A  0|---- A ----|5   5|---- B ----|10
    # 1  0|1 happy|4       5|------ 2 angry ------|10
    #        2|2 angry|5                               2 is B: it does not answer for A
    utterances = [said(0, 5, "A"), said(5, 10, "B")]
    turns = [turn(0, 2, "1", "happy"), turn(2, 5, "2", "angry"), turn(5, 10, "2", "angry")]
    assert emotions(utterances, turns) == ["happy", "angry"]


def test_no_overlapping_turn_is_no_answer():
    # utterance   0|-- A --|4   10|-- A --|14
    # turns       0|1 sad|4
    utterances = [said(0, 4), said(10, 14)]
    assert emotions(utterances, [turn(0, 4, "1", "sad")]) == ["sad", None]
    assert emotions(utterances, []) == [None, None]
    assert emotions(utterances, [turn(0, 4, "unknown", "sad")]) == [None, None]


def test_turns_that_only_touch_do_not_answer():
    assert emotions([said(4, 6)], [turn(0, 4, "1", "sad"), turn(4, 5, "1", "happy")]) == ["happy"]
    assert emotions([said(4, 6), said(0, 1)], [turn(0, 4, "1", "sad")]) == [None, "sad"]


def test_a_turn_without_emotion_does_not_answer():
    turns = [turn(0, 9, "1", None), turn(9, 10, "1", "angry")]
    assert emotions([said(0, 10)], turns) == ["angry"]


def test_a_tie_goes_to_the_first_emotion_in_order():
    # 0.1 + 0.2 and 0.3 are the same time
    turns = [turn(0, 0.1, "1", "sad"), turn(0.1, 0.3, "1", "sad"), turn(0.3, 0.6, "1", "happy")]
    assert emotions([said(0, 1)], turns) == ["happy"]
    assert emotions([said(0, 1)], turns[::-1]) == ["happy"]


def test_overlapping_turns_of_one_speaker_are_all_seen():
    # a long turn that began early is still found behind many short ones
    turns = [turn(0, 100, "1", "angry")] + [turn(i, i + 0.1, "1", "sad") for i in range(1, 60)]
    assert emotions([said(70, 80), said(0, 60)], turns) == ["angry", "angry"]


def test_recordings_are_kept_apart():
    utterances = [said(0, 4, name="one"), said(0, 4, name="two")]
    turns = [turn(0, 4, "1", "sad", name="two")]
    assert emotions(utterances, turns) == [None, "sad"]


def test_unscored_utterances_help_to_map_speakers():
    # 1 is A by the unscored utterance; without it B would take it.
    utterances = [said(0, 8, "A", "other"), said(8, 10, "A"), said(10, 13, "B")]
    turns = [turn(0, 10, "1", "sad"), turn(10, 13, "1", "angry")]
    assert emotions(utterances, turns) == ["sad", "sad", None]


def test_confidence_is_the_voters_mean_by_time():
    turns = [
        turn(0, 3, "1", "sad", 0.9),
        turn(3, 4, "1", "sad", 0.5),
        turn(4, 6, "1", "happy", 0.1),
    ]
    (prediction,) = utterance_predictions([said(0, 6)], turns)
    assert prediction.confidence == pytest.approx((3 * 0.9 + 0.5) / 4)
    assert utterance_predictions([said(0, 6)], [turn(0, 6, "1", "sad")])[0].confidence is None
