"""The sweep gives what pyannote.metrics gives, on whatever turns."""

import warnings

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from pyannote.metrics.identification import IdentificationErrorRate

from components.conversation import DEFAULT_LABELS, Turn
from components.scoring import der, find_convention, map_speakers, steer, teer


def turns_of(speakers, emotions):
    """Random turns on a grid of 10 ms, so that boundaries meet; they may overlap themselves."""
    times = st.tuples(*[st.integers(0, 1200).map(lambda t: t / 100)] * 2).map(sorted)
    one = st.builds(
        lambda span, speaker, emotion: Turn("talk", *span, speaker, "", emotion),
        times,
        st.sampled_from(speakers),
        st.sampled_from(emotions),
    )
    return st.lists(one, max_size=8)


REFERENCE = turns_of(["A", "B"], [*DEFAULT_LABELS, "other", None]).filter(
    lambda turns: any(t.duration > 0 for t in turns)
)
HYPOTHESIS = turns_of(["1", "2", "3", "unknown"], [*DEFAULT_LABELS, None])
UEM = st.none() | st.just([(2.0, 5.0), (4.5, 8.0), (9.0, 20.0)])
PYANNOTE_COLLAR = {"wu2023": 0.5, "collar0": 0.0, "ser-align": 0.0}
MANY = settings(max_examples=80)


def annotation(turns, label):
    """One track for each turn."""
    tracks = Annotation()
    for number, turn in enumerate(turns):
        tracks[Segment(turn.start, turn.end), number] = label(number, turn)
    return tracks


def scored(name, reference, hypothesis, uem, without_other):
    """The UEM as pyannote's own timelines make it."""
    extent = annotation(reference, lambda i, t: "x").get_timeline().extent()
    if name != "wu2023":
        extent |= annotation(hypothesis, lambda i, t: "x").get_timeline().extent()
    kept = Timeline([extent]) if uem is None else Timeline(Segment(a, b) for a, b in uem).support()
    if without_other:
        other = Timeline(
            Segment(t.start, t.end) for t in reference if t.emotion not in DEFAULT_LABELS
        )
        kept = other.support().gaps(support=kept)
    return kept


def components(metric, reference, hypothesis, uem):
    """Missed, false alarm, confusion and total seconds, by pyannote."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counted = metric.compute_components(reference, hypothesis, uem=uem)
    return [counted[name] for name in ("missed detection", "false alarm", "confusion", "total")]


def agree(counted, expected, same_mapping=True):
    """Equal; but confusion only where all best mappings get the same right.

    Where a label overlaps itself, mappings that share the same time may differ in that, and
    pyannote breaks such ties by labels that it has renamed.
    """
    values = [counted.missed, counted.false_alarm, counted.confusion, counted.total]
    kept = range(4) if same_mapping else (0, 1, 3)
    return [values[i] for i in kept] == pytest.approx([expected[i] for i in kept], abs=1e-6)


def apart(turns, label):
    """Whether no label overlaps itself."""
    return not any(
        i < j and label(i, a) == label(j, b) and a.start < b.end and b.start < a.end
        for i, a in enumerate(turns)
        for j, b in enumerate(turns)
    )


def emotion(number, turn):
    return turn.emotion or f"none {number}"


def speaker(number, turn):
    return turn.speaker


@pytest.mark.parametrize("name", ["wu2023", "collar0"])
@MANY
@given(reference=REFERENCE, hypothesis=HYPOTHESIS, uem=UEM)
def test_teer_and_steer(name, reference, hypothesis, uem):
    rules = find_convention(name)
    kept = scored(name, reference, hypothesis, uem, without_other=True)
    metric = IdentificationErrorRate(collar=PYANNOTE_COLLAR[name])
    ref, hyp = annotation(reference, emotion), annotation(hypothesis, emotion)
    expected = components(metric, ref, hyp, kept)
    assert agree(teer(reference, hypothesis, rules, uem), expected)

    mapping = map_speakers(reference, hypothesis)

    def attributed(number, turn):
        known = turn.speaker in mapping and turn.emotion
        return f"{mapping[turn.speaker]}+{turn.emotion}" if known else f"none {number}"

    ref = annotation(reference, lambda i, t: f"{t.speaker}+{t.emotion}")
    expected = components(metric, ref, annotation(hypothesis, attributed), kept)
    assert agree(steer(reference, hypothesis, rules, uem), expected)


@pytest.mark.parametrize("name", ["wu2023", "collar0", "ser-align"])
@MANY
@given(reference=REFERENCE, hypothesis=HYPOTHESIS, uem=UEM)
def test_der(name, reference, hypothesis, uem):
    kept = scored(name, reference, hypothesis, uem, without_other=False)
    metric = DiarizationErrorRate(collar=PYANNOTE_COLLAR[name])
    ref, hyp = annotation(reference, speaker), annotation(hypothesis, speaker)
    expected = components(metric, ref, hyp, kept)
    same = apart(reference, speaker) and apart(hypothesis, speaker)
    assert agree(der(reference, hypothesis, find_convention(name), uem), expected, same)


@pytest.mark.parametrize(
    ("measure", "label"),
    [
        (teer, lambda i, t: t.emotion or "UNK"),
        (steer, lambda i, t: f"{t.emotion or 'UNK'}_{t.speaker}"),
    ],
)
@MANY
@given(reference=REFERENCE, hypothesis=HYPOTHESIS)
def test_ser_align(measure, label, reference, hypothesis):
    counted = measure(reference, hypothesis, find_convention("ser-align"))
    four = [t for t in reference if t.emotion in DEFAULT_LABELS]
    ref, hyp = annotation(four, label), annotation(hypothesis, label)
    uem = ref.get_timeline().extent() | hyp.get_timeline().extent()
    if not four or not uem:
        assert agree(counted, [0, 0, 0, 0])
        return
    expected = components(DiarizationErrorRate(), ref, hyp, Timeline([uem]))
    assert agree(counted, expected, apart(four, label) and apart(hypothesis, label))


@MANY
@given(reference=REFERENCE, hypothesis=HYPOTHESIS)
def test_speakers_share_as_much_speech_as_by_pyannotes_mapping(reference, hypothesis):
    ref = annotation(reference, speaker)
    hyp = annotation([t for t in hypothesis if t.speaker != "unknown"], speaker)
    shared = hyp * ref
    rows, columns = hyp.labels(), ref.labels()

    def total(mapping):
        return sum(shared[rows.index(a), columns.index(b)] for a, b in mapping.items())

    best = DiarizationErrorRate().optimal_mapping(ref, hyp)
    mapping = map_speakers(reference, hypothesis)
    assert total(mapping) == pytest.approx(total(best), abs=1e-5)
    assert len(set(mapping.values())) == len(mapping)


@pytest.mark.parametrize("name", ["wu2023", "collar0"])
@settings(max_examples=200)
@given(reference=REFERENCE, hypothesis=HYPOTHESIS, uem=UEM)
def test_steer_is_never_below_teer(name, reference, hypothesis, uem):
    rules = find_convention(name)
    without, with_speakers = (
        measure(reference, hypothesis, rules, uem) for measure in (teer, steer)
    )
    assert with_speakers.confusion >= without.confusion - 1e-9
    assert with_speakers.missed == without.missed
    assert with_speakers.false_alarm == without.false_alarm
    assert with_speakers.total == without.total


@pytest.mark.parametrize(
    "holds",
    [
        lambda r, h: any(a.start < b.start < a.end for a in r for b in r),
        lambda r, h: any(a.start < b.start < a.end for a in h for b in h),
        lambda r, h: any(t.speaker == "unknown" and t.duration > 0 for t in h),
        lambda r, h: any(t.emotion == "other" and t.duration > 0 for t in r),
        lambda r, h: len({t.speaker for t in h}) > len({t.speaker for t in r}),
        lambda r, h: (
            steer(r, h, find_convention("collar0")).confusion
            > teer(r, h, find_convention("collar0")).confusion
        ),
    ],
    ids=["overlap in the reference", "overlap in the hypothesis", "unknown", "other emotions",
         "speakers too many", "steer above teer"],
)  # fmt: skip
def test_the_random_turns_have_what_could_break_it(holds):
    any_will_do = settings(phases=[Phase.generate])
    find(st.tuples(REFERENCE, HYPOTHESIS), lambda pair: holds(*pair), settings=any_will_do)
