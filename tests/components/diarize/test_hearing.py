"""Sentences go to the voice that they have, and a short recording's voices are found by them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from components.conversation import SAMPLE_RATE, FrameScores, SpeakerSegment
from components.diarize import Diarization, Diarizer, heard_again
from components.diarize.hearing import SHARE, Heard, Sentence, _chosen, clearness, found

Talk = tuple[np.ndarray, list[SpeakerSegment]]
A, B, C = np.eye(3)


def sentences(truth: Sequence[SpeakerSegment], sure: float = 0.9) -> list[Sentence]:
    return [(segment.start, segment.end, sure) for segment in truth]


def right(diarization: Diarization, truth: Sequence[SpeakerSegment]) -> list[str]:
    """Who speaks longest in each true segment."""
    from components.diarize.moves import owner_of

    return [owner_of(diarization.exclusive, s.start, s.end) for s in truth]


def partition(names: Sequence[str]) -> list[int]:
    """The same for the same grouping, whatever the names are."""
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


@pytest.mark.models
def test_a_change_that_the_diarizer_missed_is_heard(diarizer: Diarizer, dialogue: Talk) -> None:
    """Of a synthetic dialogue's minute, each second turn is given to the first voice's turns."""
    audio, truth = dialogue[0][: 40 * SAMPLE_RATE], [s for s in dialogue[1] if s.end < 40]
    whole = diarizer.diarize(audio, 2)
    missed = truth[3]
    other = next(name for name in whole.voices if name != right(whole, [missed])[0])
    cut = [
        replace(s, speaker=other) if s.start < missed.end and s.end > missed.start else s
        for s in whole.exclusive
    ]
    wrong = replace(whole, segments=tuple(cut), exclusive=tuple(cut))
    expected = partition([s.speaker for s in truth])
    assert partition(right(wrong, truth)) != expected
    again = heard_again(diarizer, audio, wrong, sentences(truth), most=2)
    assert partition(right(again, truth)) == expected
    assert again.scores is not None
    assert set(again.voices) == set(whole.voices)


@pytest.mark.models
def test_a_short_recordings_voices_are_found_by_its_sentences(
    diarizer: Diarizer, voices: Callable[[int], Talk]
) -> None:
    """Two voices of which the diarizer was told that they are one."""
    audio, truth = voices(2)
    one = diarizer.diarize(audio, max_speakers=1)
    assert len(one.voices) == 1
    again = heard_again(diarizer, audio, one, sentences(truth))
    assert partition(right(again, truth)) == partition([s.speaker for s in truth])
    assert len(again.voices) == 2
    assert set(one.voices) < set(again.voices)
    assert heard_again(diarizer, audio, one, sentences(truth), most=1) == one


@pytest.mark.models
def test_what_is_right_stays_as_it_is(diarizer: Diarizer, dialogue: Talk) -> None:
    audio, truth = dialogue[0][: 30 * SAMPLE_RATE], [s for s in dialogue[1] if s.end < 30]
    whole = diarizer.diarize(audio, 2)
    assert heard_again(diarizer, audio, whole, sentences(truth), most=2) == whole
    assert heard_again(diarizer, audio, whole, []) is whole


def test_a_pipeline_without_voices_is_left_alone() -> None:
    both = (SpeakerSegment(0.0, 2.0, "A"),)
    diarization = Diarization(both, both)
    nobody: Diarizer = None  # type: ignore[assignment]  # it is not asked
    assert heard_again(nobody, np.zeros(1), diarization, [(0.0, 2.0, 0.1)]) is diarization


class Known:
    """Hears in each sentence what it is told, by its start."""

    def __init__(self, voices: dict[float, np.ndarray]) -> None:
        self._voices = voices

    def voice(self, audio: np.ndarray, start: float, end: float) -> np.ndarray | None:
        return self._voices.get(start)


def moved(told: dict[float, np.ndarray], stretches: list[Sentence]) -> Diarization:
    exclusive = (SpeakerSegment(0.0, 80.0, "1"), SpeakerSegment(80.0, 100.0, "2"))
    overlapping = (SpeakerSegment(0.0, 80.0, "1"), SpeakerSegment(70.0, 100.0, "2"))
    scores = FrameScores(("1", "2"), 0.0, 1.0, np.repeat([[255, 0], [0, 255]], [80, 20], 0))
    diarization = Diarization(overlapping, exclusive, {"1": A, "2": B}, scores)
    listener: Diarizer = Known(told)  # type: ignore[assignment]
    return heard_again(listener, np.zeros(1), diarization, stretches)


def test_a_sentence_in_a_long_stretch_becomes_another_speakers() -> None:
    again = moved({10.0: B, 30.0: A}, [(10.0, 12.5, 0.2), (30.0, 60.0, 0.9), (60.0, 90.0, 0.9)])
    assert again.exclusive == (
        SpeakerSegment(0.0, 10.0, "1"),
        SpeakerSegment(10.0, 12.5, "2"),
        SpeakerSegment(12.5, 80.0, "1"),
        SpeakerSegment(80.0, 100.0, "2"),
    )
    assert SpeakerSegment(70.0, 100.0, "2") in again.segments
    assert again.scores is not None
    assert again.scores.activity[9:13].tolist() == [[255, 0], [0, 255], [0, 255], [255, 0]]


def test_a_sentence_inside_another_takes_nothing_of_it_back() -> None:
    """Recognised segments may overlap, and so may their sentences."""
    stretches = [(10.0, 30.0, 0.2), (12.0, 15.0, 0.3), (29.0, 32.0, 0.3), (40.0, 70.0, 0.9)]
    again = moved({10.0: B, 12.0: B, 29.0: B, 40.0: A}, [*stretches, (75.0, 90.0, 0.9)])
    assert again.exclusive == (
        SpeakerSegment(0.0, 10.0, "1"),
        SpeakerSegment(10.0, 32.0, "2"),
        SpeakerSegment(32.0, 80.0, "1"),
        SpeakerSegment(80.0, 100.0, "2"),
    )


def test_a_voice_must_be_nearer_by_a_margin() -> None:
    between = (A + 1.1 * B) / np.linalg.norm(A + 1.1 * B)
    stretches = [(10.0, 12.5, 0.2), (30.0, 60.0, 0.9), (60.0, 90.0, 0.9)]
    assert moved({10.0: between}, stretches).exclusive[0] == SpeakerSegment(0.0, 80.0, "1")


def test_of_a_long_recording_those_that_are_least_sure_are_heard() -> None:
    stretches = [(float(at), at + 2.0, at / 2000) for at in range(0, 2000, 2)]
    heard = _chosen(stretches)
    assert heard == stretches[: int(SHARE * len(stretches))]
    assert _chosen([(0.0, 0.4, 0.0), (1.0, 3.0, 0.5)]) == [(1.0, 3.0, 0.5)]


def test_one_voice_is_not_taken_apart_and_alike_ones_are() -> None:
    def spread(centre: np.ndarray, seed: int) -> np.ndarray:
        voice = centre + np.random.default_rng(seed).normal(0, 0.3, 32)
        return voice / np.linalg.norm(voice)

    first, second = np.eye(32)[:2] * 2
    one = [Heard(i, i + 1.0, spread(first, i), "1") for i in range(8)]
    assert np.shape(found(one, None, 1)) == (1, 32)
    two = [*one, *(Heard(i, i + 1.0, spread(second, i), "1") for i in range(8, 16))]
    voices = found(two, None, 1)
    assert voices is not None
    assert len(voices) == 2
    assert found([h._replace(owner="1" if i < 8 else "2") for i, h in enumerate(two)], 2, 2) is None
    assert found(one[:1], None, 1) is None


def test_clearness_of_clusters() -> None:
    distances = np.array([[0.0, 0.1, 1.0], [0.1, 0.0, 1.0], [1.0, 1.0, 0.0]])
    seconds = np.array([1.0, 1.0, 2.0])
    assert clearness(distances, np.array([0, 0, 1]), seconds) == pytest.approx(0.45)
    assert clearness(distances, np.array([0, 0, 0]), seconds) == 0
    assert clearness(distances, np.array([0, 1, 2]), seconds) == 0
