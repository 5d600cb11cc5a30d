"""Subtitles, as FFmpeg reads them again."""

import io
import re
from itertools import pairwise

import av
import pytest

from components.base import InputError
from components.conversation import Layout, Turn, turns_to_srt, turns_to_vtt

LONG = " ".join(f"word{n}" for n in range(60))
MARKS = "yes {\\an8} <i>really</i> & 1 --> 2"
TURNS = [
    Turn("call", 0.0, 12.0, "Ann Lee", LONG, "happy"),
    Turn(
        "call",
        3.0,
        4.0,
        "SPEAKER_01",
        "yes {\\an8} <i>really</i> & 1 --> 2",
        "sad",
        0.4,
        uncertain=True,
    ),
    Turn("call", 3_661.5, 3_661.5004, "SPEAKER_01", "bye"),
    Turn("call", 3_700.0, 3_701.0, "SPEAKER_01", "x" * 100),
]
Shown = list[tuple[float, float, str]]
FORMS = ((turns_to_srt, "srt"), (turns_to_vtt, "webvtt"))


def read(text: str, form: str) -> Shown:
    """Start, end and text of each subtitle."""
    with av.open(io.BytesIO(text.encode()), format=form) as container:
        (stream,) = container.streams
        packets = [packet for packet in container.demux(stream) if packet.size]
        return [
            (
                float(p.pts * p.time_base),
                float((p.pts + p.duration) * p.time_base),
                bytes(p).decode().strip(),
            )
            for p in packets
        ]


@pytest.mark.parametrize("layout", [Layout(), Layout(20, 1), Layout(200, 10)])
def test_lines_are_short_and_nothing_is_lost(layout: Layout) -> None:
    for make, form in FORMS:
        text = make(TURNS, layout)
        shown = read(text, form)
        assert len(shown) == text.count(" --> ")
        assert [cue[0] for cue in shown] == sorted(cue[0] for cue in shown)
        words: list[str] = []
        for start, end, said in shown:
            assert end - start >= 0.001
            lines = said.splitlines()
            assert 1 <= len(lines) <= layout.lines
            plain = re.sub(r"<v [^>]*>", "", said).replace("&amp;", "&")
            plain = plain.replace("&lt;", "<").replace("&gt;", ">")
            assert all(len(line) <= layout.width for line in plain.splitlines())
            words += plain.split()
        assert [w for w in words if re.fullmatch(r"word\d+", w)] == LONG.split()
        assert sum(said.count("x") for *_, said in shown) == 100


def test_a_turn_s_time_is_shared_by_its_cues() -> None:
    shown = read(turns_to_srt(TURNS[:1]), "srt")
    assert (shown[0][0], shown[-1][1]) == (0.0, 12.0)
    assert len(shown) > 4
    for (start, end, said), (following, _, _) in pairwise(shown):
        assert end == following
        assert (end - start) / 12 == pytest.approx(len(said) / (len(LONG) + 17), abs=0.01)


def test_who_speaks_is_said_once_in_subrip_and_always_in_webvtt() -> None:
    srt, vtt = (read(make(TURNS[:1]), form) for make, form in FORMS)
    assert srt[0][2].startswith("Ann Lee: [happy] word0")
    assert not any("Ann" in said for *_, said in srt[1:])
    assert all(said.startswith("<v Ann Lee>") for *_, said in vtt)
    assert [("[happy]" in said) for *_, said in vtt] == [True] + [False] * (len(vtt) - 1)


def test_what_players_take_for_marks_has_look_alikes_in_subrip() -> None:
    ((_, _, said),) = read(turns_to_srt(TURNS[1:2], Layout(200)), "srt")
    assert said == "SPEAKER_01: [sad?] yes (\\an8) ‹i›really‹/i› & 1 --› 2"


def test_an_hour_no_turns_and_layouts_that_cannot_be() -> None:
    assert "01:01:01,500 --> 01:01:01,501" in turns_to_srt(TURNS[2:3])
    assert turns_to_srt([]) == ""
    assert turns_to_vtt([]) == "WEBVTT\n"
    for wrong in ({"width": 9}, {"width": 201}, {"lines": 0}, {"lines": 11}):
        with pytest.raises(InputError, match="subtitle"):
            Layout(**wrong)
