"""TEER, sTEER and DER by hand, each case drawn."""

import pytest

from components.conversation import Turn
from components.scoring import der, find_convention, map_speakers, steer, teer


def turn(start, end, speaker="A", emotion=None):
    return Turn("talk", start, end, speaker, "", emotion)


WU, PLAIN, SER_ALIGN = (find_convention(name) for name in ("wu2023", "collar0", "ser-align"))


def errors(counted):
    return pytest.approx((counted.missed, counted.false_alarm, counted.confusion, counted.total))


def test_teer_counts_missed_false_alarm_and_confusion():
    # reference   0|---- sad ----|4        6|-- angry --|10
    # hypothesis     1|---- sad ------|5   6|- happy -|8        12|-sad-|13
    #              miss 1           fa 1      confusion 2  miss 2    fa 1
    reference = [turn(0, 4, "A", "sad"), turn(6, 10, "B", "angry")]
    hypothesis = [turn(1, 5, "1", "sad"), turn(6, 8, "2", "happy"), turn(12, 13, "1", "sad")]
    counted = teer(reference, hypothesis, PLAIN)
    assert errors(counted) == (3, 2, 2, 8)
    assert counted.rate == pytest.approx(7 / 8)


def test_wu2023_leaves_out_collars_and_what_is_beyond_the_reference():
    # reference   0|---- sad ----|4        6|-- angry --|10
    # collars    ##             ###       ###          ##     ±0.25
    # hypothesis     1|---- sad ------|5   6|- happy -|8        12|-sad-|13
    #              .75             .75        1.75   1.75        beyond
    reference = [turn(0, 4, "A", "sad"), turn(6, 10, "B", "angry")]
    hypothesis = [turn(1, 5, "1", "sad"), turn(6, 8, "2", "happy"), turn(12, 13, "1", "sad")]
    assert errors(teer(reference, hypothesis, WU)) == (0.75 + 1.75, 0.75, 1.75, 7.0)


def test_two_at_once_with_the_same_emotion_count_twice():
    # reference   0|-- A sad --|4
    #             0|-- B sad --|4
    # hypothesis  0|-- 1 sad --|4
    #             0|2 sad|2                 B is missed from 2 to 4
    reference = [turn(0, 4, "A", "sad"), turn(0, 4, "B", "sad")]
    hypothesis = [turn(0, 4, "1", "sad"), turn(0, 2, "2", "sad")]
    assert errors(teer(reference, hypothesis, PLAIN)) == (2, 0, 0, 8)


@pytest.mark.parametrize("convention", [PLAIN, WU])
def test_other_emotions_are_not_scored(convention):
    # reference   0|-- sad --|4 |5-- other --|9 |10- sad -|14
    # hypothesis  0|------------ angry ------------------|14
    # collar0      confusion   fa  not scored  fa confusion
    reference = [turn(0, 4, "A", "sad"), turn(5, 9, "A", "other"), turn(10, 14, "A", "sad")]
    hypothesis = [turn(0, 14, "1", "angry")]
    expected = {PLAIN: (0, 2, 8, 8), WU: (0, 1, 7, 7)}[convention]
    assert expected == errors(teer(reference, hypothesis, convention))


def test_an_emotion_over_an_other_one_is_left_out_with_it():
    # reference   0|------- A sad -------|6
    #                  2|- B other -|4            2 to 4 is not scored
    # hypothesis  0|------- 1 sad -------|6
    reference = [turn(0, 6, "A", "sad"), turn(2, 4, "B", "other")]
    assert errors(teer(reference, [turn(0, 6, "1", "sad")], PLAIN)) == (0, 0, 0, 4)


def test_a_turn_without_an_emotion_matches_nothing():
    reference = [turn(0, 4, "A", "sad")]
    assert errors(teer(reference, [turn(0, 4, "1")], PLAIN)) == (0, 0, 4, 4)


def test_steer_asks_for_the_speaker_too():
    # reference   0|-- A sad --|4|-- B sad --|8
    # hypothesis  0|----- 1 sad -----|6|2 sad|8       1 is A; from 4 to 6 it is not B
    reference = [turn(0, 4, "A", "sad"), turn(4, 8, "B", "sad")]
    hypothesis = [turn(0, 6, "1", "sad"), turn(6, 8, "2", "sad")]
    assert errors(teer(reference, hypothesis, PLAIN)) == (0, 0, 0, 8)
    assert errors(steer(reference, hypothesis, PLAIN)) == (0, 0, 2, 8)


def test_speakers_are_mapped_one_to_one():
    # reference   0|------ A ------|10  10|-- B --|14
    # hypothesis  0|-- 1 --|5|-- 2 --|10 10|- 2 -|13|
    #   mapped each by itself, 1 → A and 2 → A; one to one 1 → A, 2 → B shares 5 + 3
    reference = [turn(0, 10, "A", "sad"), turn(10, 14, "B", "sad")]
    hypothesis = [turn(0, 5, "1", "sad"), turn(5, 10, "2", "sad"), turn(10, 13, "2", "sad")]
    assert map_speakers(reference, hypothesis) == {"1": "A", "2": "B"}
    assert errors(steer(reference, hypothesis, PLAIN)) == (1, 0, 5, 14)


def test_the_best_pairing_may_leave_a_speaker_his_second_best():
    # 2 shares 5 with A and 4 with B, 1 shares 5 with A only: A goes to 1, B to 2.
    reference = [turn(0, 10, "A"), turn(10, 14, "B")]
    hypothesis = [turn(0, 5, "1"), turn(5, 14, "2")]
    assert map_speakers(reference, hypothesis) == {"1": "A", "2": "B"}


def test_speakers_are_mapped_over_the_whole_recording():
    # reference   0|A sad|2   |4------- A other -------|10   |12 B sad 15|
    # hypothesis              |4------- 1 sad ---------|10   |12 1 sad 15|  0|2 sad|2
    #   in what is scored 1 shares more with B; over the recording with A
    reference = [turn(0, 2, "A", "sad"), turn(4, 10, "A", "other"), turn(12, 15, "B", "sad")]
    hypothesis = [turn(0, 2, "2", "sad"), turn(4, 10, "1", "sad"), turn(12, 15, "1", "sad")]
    assert map_speakers(reference, hypothesis) == {"1": "A"}
    assert steer(reference, hypothesis, PLAIN).confusion == 5


def test_unknown_and_speakers_too_many_match_nothing():
    # reference   0|----- A sad -----|9
    # hypothesis  0|1 sad|5|unknown sad|8|2 sad|9
    reference = [turn(0, 9, "A", "sad")]
    hypothesis = [turn(0, 4, "1", "sad"), turn(4, 8, "unknown", "sad"), turn(8, 9, "2", "sad")]
    assert map_speakers(reference, hypothesis) == {"1": "A"}
    assert errors(steer(reference, hypothesis, PLAIN)) == (0, 0, 5, 9)
    alone = [turn(0, 9, "unknown", "sad")]
    assert errors(steer(reference, alone, PLAIN)) == (0, 0, 9, 9)
    assert errors(steer([turn(0, 9, "unknown", "sad")], alone, PLAIN)) == (0, 0, 9, 9)


def test_der_does_not_look_at_emotions():
    # reference   0|-- A sad --|4|-- B other --|8
    # hypothesis  0|------- 1 happy -------|7
    reference = [turn(0, 4, "A", "sad"), turn(4, 8, "B", "other")]
    hypothesis = [turn(0, 7, "1", "happy")]
    assert errors(der(reference, hypothesis, PLAIN)) == (1, 0, 3, 8)
    #    wu2023 scores 0.25–3.75 and 4.25–7.75
    assert errors(der(reference, hypothesis, WU)) == (0.75, 0, 2.75, 7)


def test_der_maps_within_what_is_scored():
    # reference   0|------ A ------|6 6|-- B --|10          UEM 5 to 10
    # hypothesis  0|------------ 1 -----------|10           1 is B there
    reference, hypothesis = [turn(0, 6, "A"), turn(6, 10, "B")], [turn(0, 10, "1")]
    assert errors(der(reference, hypothesis, PLAIN)) == (0, 0, 4, 10)
    assert errors(der(reference, hypothesis, PLAIN, [(5, 10)])) == (0, 0, 1, 5)


def test_a_uem_takes_the_place_of_the_extent():
    # reference   0|-- sad --|4
    # hypothesis        2|-- sad --|6
    # UEM           1|-----|3    5|-------------|9
    reference, hypothesis = [turn(0, 4, "A", "sad")], [turn(2, 6, "1", "sad")]
    uem = [(1, 3), (5, 9)]
    assert errors(teer(reference, hypothesis, PLAIN, uem)) == (1, 1, 0, 2)
    assert errors(steer(reference, hypothesis, PLAIN, uem)) == (1, 1, 0, 2)
    assert errors(der(reference, hypothesis, PLAIN, uem)) == (1, 1, 0, 2)
    # its stretches may overlap: nothing counts twice
    assert errors(teer(reference, hypothesis, PLAIN, [(1, 3), (2, 3), (5, 9)])) == (1, 1, 0, 2)


def test_the_papers_code_forgives_permuted_emotions():
    # What published code gets wrong: every label wrong, and ser-align finds no error.
    order = ["angry", "happy", "neutral", "sad"]
    reference = [turn(2 * i, 2 * i + 2, "A", name) for i, name in enumerate(order)]
    permuted = [turn(2 * i, 2 * i + 2, "1", name) for i, name in enumerate(order[1:] + order[:1])]
    assert teer(reference, permuted, SER_ALIGN).rate == 0
    assert teer(reference, permuted, PLAIN).rate == 1


def test_the_papers_code_counts_correct_speech_of_other_emotions_as_false_alarm():
    # reference   0|-- A sad --|4|-- A other --|8
    # hypothesis  0|-- 1 sad --|4|-- 1 sad ----|8
    reference = [turn(0, 4, "A", "sad"), turn(4, 8, "A", "other")]
    hypothesis = [turn(0, 4, "1", "sad"), turn(4, 8, "1", "sad")]
    assert errors(teer(reference, hypothesis, SER_ALIGN)) == (0, 4, 0, 4)
    assert errors(steer(reference, hypothesis, SER_ALIGN)) == (0, 4, 0, 4)
    assert errors(der(reference, hypothesis, SER_ALIGN)) == (0, 0, 0, 8)


def test_the_papers_code_can_put_steer_below_teer():
    # reference   0|A angry|2|B angry|4       emotions: happy or sad may be mapped to angry, not
    # hypothesis  0|1 happy|2|2 sad  |4       both; emotion and speaker together: both may
    reference = [turn(0, 2, "A", "angry"), turn(2, 4, "B", "angry")]
    hypothesis = [turn(0, 2, "1", "happy"), turn(2, 4, "2", "sad")]
    assert teer(reference, hypothesis, SER_ALIGN).rate == 0.5
    assert steer(reference, hypothesis, SER_ALIGN).rate == 0


def test_the_papers_code_passes_over_recordings_without_the_four():
    reference, hypothesis = [turn(0, 2, "A", "other")], [turn(0, 2, "1", "sad")]
    assert errors(teer(reference, hypothesis, SER_ALIGN)) == (0, 0, 0, 0)


def test_nothing_to_score_has_no_rate():
    assert teer([turn(0, 2, "A", "other")], [turn(0, 2, "1", "sad")], PLAIN).rate is None
    assert der([turn(1, 1, "A")], [], WU).rate is None


def test_a_silent_hypothesis_is_all_missed():
    reference = [turn(0, 4, "A", "sad")]
    for measure in (teer, steer, der):
        assert errors(measure(reference, [], PLAIN)) == (4, 0, 0, 4)
        assert errors(measure(reference, [], WU)) == (3.5, 0, 0, 3.5)


def test_turns_of_no_length_count_nothing():
    reference, hypothesis = [turn(0, 4, "A", "sad")], [turn(0, 4, "1", "sad")]
    dots = [turn(2, 2, "B", "angry"), turn(9, 9, "B", "angry")]
    assert errors(teer(reference + dots, hypothesis + dots, PLAIN)) == (0, 0, 0, 4)
    assert errors(teer(reference + dots, hypothesis, WU)) == (0, 0, 0, 3.5)
