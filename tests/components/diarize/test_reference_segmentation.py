"""The voices in given stretches are told apart by the pipeline's own embedding."""

from collections.abc import Callable

import numpy as np
import pytest
from pyannote.core import Segment
from scipy.optimize import linear_sum_assignment

from components.conversation import SAMPLE_RATE, SpeakerSegment
from components.diarize import Diarizer
from components.diarize.reference_segmentation import _alone, among

Talk = tuple[np.ndarray, list[SpeakerSegment]]


def bounds(segments: list[SpeakerSegment]) -> list[tuple[float, float]]:
    return [(segment.start, segment.end) for segment in segments]


def confused(truth: list[SpeakerSegment], diarized: tuple[SpeakerSegment, ...]) -> float:
    """The share of the time that no one-to-one naming of the speakers explains."""
    names, said = (sorted({s.speaker for s in segments}) for segments in (truth, diarized))
    shared = np.zeros((len(names), len(said)))
    for a, b in zip(truth, diarized, strict=True):
        shared[names.index(a.speaker), said.index(b.speaker)] += a.end - a.start
    rows, columns = linear_sum_assignment(-shared)
    return float(1 - shared[rows, columns].sum() / shared.sum())


def test_where_others_speak_a_voice_is_not_listened_to() -> None:
    stretch = Segment(1.0, 2.0)
    others = [Segment(0.5, 1.2), stretch, Segment(1.9, 3.0), Segment(2.0, 4.0), Segment(1.95, 1.96)]
    alone = _alone(stretch, others)
    assert len(alone) == 100
    assert np.flatnonzero(alone).tolist() == list(range(20, 90))


def test_one_shouted_utterance_is_no_speaker() -> None:
    """By centroids the shout, farther from all than the two voices are, would be the second one."""
    rng = np.random.default_rng(0)
    shared, own, shout = np.ones(8), np.eye(8)[:2], 6 * np.eye(8)[7]
    speakers = rng.permutation(np.repeat([0, 1], 12))
    said = shared + own[speakers] + rng.normal(0, 0.1, (24, 8))
    said[5] += shout
    found = among(said, 2)
    agree = found == speakers
    assert max(agree.sum(), (~agree).sum()) >= 23


def test_a_voice_that_could_not_be_embedded_goes_with_the_one_before() -> None:
    voices = np.array([[1.0, 0, 0], [0, 1, 0]] * 3)
    voices[[0, 3]] = np.nan
    owners = among(voices, 2)
    assert owners[0] == owners[1] == owners[5]
    assert owners[2] == owners[3] == owners[4] != owners[1]
    assert among(voices[[0, 3]], 2).tolist() == [0, 0]
    assert among(voices[[1]], 5).tolist() == [0]


@pytest.mark.models
@pytest.mark.parametrize(
    "known", [{"num_speakers": 2}, {"min_speakers": 2, "max_speakers": 2}, {}], ids=str
)
def test_each_stretch_keeps_its_bounds_and_gets_its_voice(
    diarizer: Diarizer, dialogue: Talk, known: dict[str, int]
) -> None:
    audio, truth = dialogue
    diarized = diarizer.diarize(audio, stretches=bounds(truth), **known)
    assert bounds(list(diarized.segments)) == bounds(truth)
    assert len({s.speaker for s in diarized.segments}) == 2
    assert confused(truth, diarized.segments) < 0.05
    assert diarized.exclusive == diarized.segments


@pytest.mark.models
def test_three_voices(diarizer: Diarizer, voices: Callable[[int], Talk]) -> None:
    audio, truth = voices(3)
    diarized = diarizer.diarize(audio, 3, bounds(truth)).segments
    assert len({s.speaker for s in diarized}) == 3
    assert confused(truth, diarized) < 0.2


@pytest.mark.models
def test_overlapping_stretches_stay_and_short_ones_are_heard(
    diarizer: Diarizer, dialogue: Talk
) -> None:
    audio, _ = dialogue
    given = [(0.5, 4.0), (3.0, 3.02), (3.0, 7.0), (6.9, 7.0), (8.0, 12.0)]
    diarized = diarizer.diarize(audio[: 12 * SAMPLE_RATE], 2, given).segments
    assert bounds(list(diarized)) == sorted(given)


@pytest.mark.models
@pytest.mark.parametrize("given", [[], [(0.2, 0.25)], [(1.0, 2.0)], [(1.0, 2.0), (1.1, 1.9)]])
def test_few_stretches_for_many_speakers(
    diarizer: Diarizer, dialogue: Talk, given: list[tuple[float, float]]
) -> None:
    diarized = diarizer.diarize(dialogue[0][: 3 * SAMPLE_RATE], 5, given).segments
    assert bounds(list(diarized)) == given


@pytest.mark.models
def test_a_stretch_ends_where_the_recording_does(diarizer: Diarizer, dialogue: Talk) -> None:
    diarized = diarizer.diarize(
        dialogue[0][: 3 * SAMPLE_RATE], 2, [(1.0, 5.0), (4.0, 6.0)]
    ).segments
    assert bounds(list(diarized)) == [(1.0, 3.0)]
