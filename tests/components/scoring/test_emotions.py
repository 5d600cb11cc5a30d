"""EDER against pyannote.metrics, against speechbrain's answers, and by what must hold of it."""

from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.identification import IdentificationErrorRate

from components.conversation import DEFAULT_LABELS, Turn
from components.scoring import EmotionErrors, eder, find_convention, teer

COLLAR0 = find_convention("collar0")
NAMES = {"n": "neutral", "a": "angry", "h": "happy", "s": "sad"}


def turn(start, end, emotion, speaker="A"):
    return Turn("talk", start, end, speaker, "", emotion)


def turns_of(emotions):
    """Random turns on a grid of 10 ms, so that boundaries meet; they may overlap."""
    times = st.tuples(*[st.integers(0, 1000).map(lambda t: t / 100)] * 2).map(sorted)
    one = st.builds(lambda t, emotion: turn(*t, emotion), times, st.sampled_from(emotions))
    return st.lists(one, max_size=7)


REFERENCE = turns_of([*DEFAULT_LABELS, "other"])
HYPOTHESIS = turns_of([*DEFAULT_LABELS, None])
UEM = [(0.5, 4.0), (5.0, 11.0)]


def moments(turns, kept):
    """What is scored, cut at every boundary, each piece labelled by the emotions heard in it."""
    spans = [Segment(t.start, t.end) for t in turns]
    pieces = Timeline([*spans, *kept]).segmentation().crop(kept)
    labelled = Annotation()
    for piece in pieces:
        inside = {t.emotion for t in turns if t.start < piece.middle < t.end}
        labelled[piece] = "+".join(sorted(inside - {"neutral", None})) or "none"
    return labelled


@settings(max_examples=60)
@given(reference=REFERENCE, hypothesis=HYPOTHESIS)
def test_is_pyannotes_identification_error_of_moments_that_are_labelled_throughout(
    reference, hypothesis
):
    kept = Timeline(Segment(*span) for span in UEM)
    other = Timeline(
        Segment(t.start, t.end) for t in reference if t.emotion == "other" and t.duration
    )
    kept = other.support().gaps(support=kept) if other else kept
    counted = eder(reference, hypothesis, COLLAR0, UEM)
    if not kept:
        assert counted == EmotionErrors.zero()
        return
    four = [t for t in reference if t.emotion != "other"]
    metric = IdentificationErrorRate()
    expected = metric(moments(four, kept), moments(hypothesis, kept), uem=kept, detailed=True)
    assert counted.in_error == pytest.approx(expected["confusion"], abs=1e-6)
    assert counted.total == pytest.approx(expected["total"], abs=1e-6)
    assert expected["missed detection"] == expected["false alarm"] == 0


@pytest.mark.parametrize(
    ("frames", "stride", "emotion", "answer"),
    [
        ("nnnaaa", 0.2, ("angry", 0.39, 1.1), 0.2583333333333333),
        ("hhnnsssn", 0.25, ("sad", 0.8, 1.65), 0.4),
        ("aaaa", 0.2, ("happy", 0.0, 0.8), 1.0),
        ("nnnnnnnnnn", 0.2, ("sad", 0.3, 1.7), 0.7),
        ("nnhhhhhann", 0.25, ("happy", 0.6, 1.9), 0.14),
    ],
)
def test_is_what_speechbrain_answers(frames, stride, emotion, answer):
    """`answer` is what `speechbrain.utils.EDER.EDER` gave for frames of this length.

    speechbrain 1.x, Apache-2.0, by the metric's author; one emotion in an utterance.
    """
    edges, at = [], 0
    for letter, run in groupby(frames):
        first, at = at, at + len(list(run))
        edges.append(turn(first * stride, at * stride, NAMES[letter]))
    name, start, end = emotion
    whole = [(0.0, len(frames) * stride)]
    counted = eder([turn(start, end, name)], edges, COLLAR0, whole)
    assert counted.rate == pytest.approx(answer)


def test_each_kind_of_error():
    # reference   |sad  |neutral|angry|          |happy|sad |
    # hypothesis    |sad    |sad+   |   |angry|          |happy+sad|
    reference = [turn(0, 2, "sad"), turn(2, 4, "neutral"), turn(4, 6, "angry"), turn(9, 11, "sad")]
    hypothesis = [turn(0.5, 3, "sad"), turn(4, 6, "happy", "B"), turn(7, 7.5, "angry"),
                  turn(9, 11, "sad"), turn(10, 11, "happy", "B")]  # fmt: skip
    assert eder(reference, hypothesis, COLLAR0) == EmotionErrors(
        missed=0.5, false_alarm=1.5, confusion=2.0, overlap=1.0, total=11.0
    )


def test_two_peoples_emotions_at_once():
    both = [turn(0, 4, "sad"), turn(0, 4, "angry", "B")]

    def counted(*emotions):
        return eder(both, [turn(0, 4, e, str(i)) for i, e in enumerate(emotions)], COLLAR0)

    assert counted("angry", "sad") == counted("sad", "angry", "sad") == EmotionErrors(0, 0, 0, 0, 4)
    assert counted("sad") == counted("neutral") == EmotionErrors(4, 0, 0, 0, 4)
    assert counted("sad", "happy") == counted("happy") == EmotionErrors(0, 0, 4, 0, 4)
    assert counted("sad", "happy", "angry") == EmotionErrors(0, 0, 0, 4, 4)


def test_neutral_speech_and_silence_are_no_emotion():
    calm = [turn(0, 4, "neutral")]
    for hypothesis in ([], calm, [turn(1, 2, None)]):
        assert eder(calm, hypothesis, COLLAR0, [(0, 8)]) == EmotionErrors(0, 0, 0, 0, 8)
    assert teer(calm, [], COLLAR0).rate == 1
    assert eder([], [], COLLAR0).rate is None


@settings(max_examples=40)
@given(reference=REFERENCE, hypothesis=HYPOTHESIS)
@pytest.mark.parametrize("name", ["wu2023", "collar0", "ser-align"])
def test_what_holds_of_any_turns(name, reference, hypothesis):
    rules = find_convention(name)
    counted = eder(reference, hypothesis, rules)
    assert counted.in_error <= counted.total + 1e-6
    own = [t for t in reference if t.emotion in DEFAULT_LABELS]
    assert eder(reference, own, rules).in_error == pytest.approx(0, abs=1e-6)
    others = [turn(t.start, t.end, t.emotion, f"{i}") for i, t in enumerate(hypothesis)]
    assert eder(reference, others, rules) == counted  # whoever speaks
    if name == "ser-align":
        assert counted == eder(reference, hypothesis, COLLAR0)


@pytest.mark.parametrize("wrong", [(-1, 0, 0, 0, 2), (1, 1, 1, 0, 2), (0, 0, 0, float("nan"), 1)])
def test_counts_check_themselves(wrong):
    with pytest.raises(ValueError, match="seconds"):
        EmotionErrors(*wrong)
