"""Frame scores: kept beside an RTTM, and refused beside another one."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base import InputError
from components.conversation import (
    FrameScores,
    SpeakerSegment,
    frame_scores_bytes,
    parse_frame_scores,
    parse_rttm,
    rttm_text,
)

SEGMENTS = (SpeakerSegment(0.0, 0.25, "A"), SpeakerSegment(0.25, 0.5, "B"))
SCORES = FrameScores(
    ("A", "B"), 0.0, 0.125, np.array([[255, 0], [204, 51], [51, 204], [0, 255]], dtype=np.uint8)
)


def read(content: bytes, segments: Sequence[SpeakerSegment] = SEGMENTS) -> FrameScores:
    return parse_frame_scores(content, "scores", "call", segments)


def test_what_is_written_is_read_beside_either_rttm() -> None:
    other = (SpeakerSegment(0.0, 0.3, "A"), SpeakerSegment(0.2, 0.5, "B"))
    content = frame_scores_bytes(SCORES, "call", SEGMENTS, other)
    for segments in (SEGMENTS, other):
        from_rttm = parse_rttm(rttm_text("call", segments), "rttm")["call"]
        scores = read(content, from_rttm[::-1])
        assert scores.activity.tolist() == SCORES.activity.tolist()
        assert (scores.speakers, scores.start, scores.step) == (("A", "B"), 0.0, 0.125)


def test_the_same_scores_are_the_same_bytes() -> None:
    scores = FrameScores(("Zoë", "B"), 0.0, 0.125, SCORES.activity)
    files = {frame_scores_bytes(scores, "a “call”", SEGMENTS) for _ in range(20)}
    assert len(files) == 1
    assert parse_frame_scores(files.pop(), "f", "a “call”", SEGMENTS).speakers == ("Zoë", "B")


def test_two_hours_of_four_speakers_take_less_than_two_megabytes() -> None:
    frames = np.zeros((2 * 3600 * 59, 4), dtype=np.uint8)
    content = frame_scores_bytes(FrameScores(tuple("ABCD"), 0.0, 1 / 59, frames), "call", [])
    assert len(content) < 2_000_000


@pytest.mark.parametrize(
    "segments",
    [SEGMENTS[:1], (*SEGMENTS[:1], SpeakerSegment(0.25, 0.501, "B")),
     tuple(SpeakerSegment(s.start, s.end, s.speaker + "x") for s in SEGMENTS)],
    ids=["fewer", "a millisecond", "names"],
)  # fmt: skip
def test_scores_of_other_segments_are_refused(segments: Sequence[SpeakerSegment]) -> None:
    content = frame_scores_bytes(SCORES, "call", SEGMENTS)
    with pytest.raises(InputError, match="do not fit the speaker segments of call; diarize again"):
        read(content, segments)


def test_scores_of_another_recording_are_refused() -> None:
    with pytest.raises(InputError, match="are of meeting, not of call"):
        read(frame_scores_bytes(SCORES, "meeting", SEGMENTS))


@given(st.data())
def test_damage_is_told_in_one_line(data: st.DataObject) -> None:
    content = frame_scores_bytes(SCORES, "call", SEGMENTS)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(InputError, match=r"^scores: holds no frame scores, or was cut short"):
        read(content[:cut])


@pytest.mark.parametrize(
    ("key", "value"),
    [("speakers", b'["A","A"]'), ("speakers", b'["A"]'), ("step", b"0.0"), ("format", b"others")],
)
def test_a_wrong_header_is_told_in_one_line(key: str, value: bytes) -> None:
    scores = SCORES
    if key == "speakers":
        names = ("A", "A") if value.count(b"A") == 2 else ("A",)
        scores = FrameScores(names, 0.0, 0.125, SCORES.activity)
    elif key == "step":
        scores = FrameScores(("A", "B"), 0.0, 0.0, SCORES.activity)
    content = frame_scores_bytes(scores, "call", SEGMENTS)
    if key == "format":
        content = content.replace(b"moodline frame", b"other    frame")
    with pytest.raises(InputError, match="holds no frame scores"):
        read(content)


def test_seconds_inside_stretches_are_shares_of_frames() -> None:
    inside = SCORES.inside(np.array([0.0, 0.125, 0.5]), np.array([0.125, 0.375, 0.9]))
    assert inside["A"].tolist() == pytest.approx([0.125, 0.125, 0.0])
    assert inside["B"].tolist() == pytest.approx([0.0, 0.125, 0.0])


def test_where_a_stretch_changes_hands_the_two_change_places() -> None:
    after = (SpeakerSegment(0.0, 0.25, "C"), SpeakerSegment(0.25, 0.5, "B"))
    scores = SCORES.following(SEGMENTS, after)
    assert scores.speakers == ("A", "B", "C")
    assert scores.activity.tolist() == [[0, 0, 255], [0, 51, 204], [51, 204, 0], [0, 255, 0]]


def test_speakers_who_get_one_name_are_one() -> None:
    scores = SCORES.renamed({"A": "Ann", "B": "Ann"})
    assert scores.speakers == ("Ann",)
    assert scores.activity[:, 0].tolist() == [255, 204, 204, 255]
