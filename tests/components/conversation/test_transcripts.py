"""Transcripts and speakers as other tools write them: read rightly, or refused in one line.

Each case comes from what people complain of in tools like this one. The command line and
`/v1/align` read them by the same functions; tests/serving/api holds that they answer alike.
"""

from pathlib import Path
from typing import Any

import pytest

from components.align import align
from components.base import InputError
from components.conversation import (
    SpeakerSegment,
    Turn,
    only_recording,
    parse_rttm,
    parse_words,
    read_turns,
    read_uem,
    rttm_text,
    spaced_words,
    turns_to_vtt,
    write_turns,
)

AB = [SpeakerSegment(0.0, 3.0, "A"), SpeakerSegment(3.0, 6.0, "B")]


def word(text: str, start: float | None = None, end: float | None = None, **more: Any) -> Any:
    return {"word": text, "start": start, "end": end} | more


def segment(start: float | None, end: float | None, *words: Any, **more: Any) -> Any:
    return {"start": start, "end": end, "words": list(words)} | more


def turns(*segments: Any, speakers: list[SpeakerSegment] = AB, **transcript: Any) -> list[Turn]:
    data = {"segments": list(segments)} | transcript
    return align(parse_words(data, "words"), speakers, session_id="call")


def texts(*segments: Any, **transcript: Any) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.words) for turn in turns(*segments, **transcript)]


class TestTimes:
    def test_a_word_that_ends_before_it_starts_counts_as_untimed(self) -> None:
        assert texts(
            segment(0.2, 1.2, word("so", 0.2, 0.5), word("we", 0.6, 1.2)),
            segment(1.3, 2.6, word("went", 1.3, 1.25), word("there", 1.6, 2.6)),
            segment(3.1, 4.4, word("really?", 3.1, 4.4)),
        ) == [("A", "so we went there"), ("B", "really?")]

    @pytest.mark.parametrize("bounds", [(2.66, 1.29), (None, None), (float("nan"), 2.0)])
    def test_a_segment_without_possible_bounds_lies_between_its_neighbours(
        self, bounds: tuple[float | None, float | None]
    ) -> None:
        assert texts(
            segment(0.2, 1.2, word("so", 0.2, 0.5), word("we", 0.6, 1.2)),
            segment(*bounds, word("still"), word("went")),
            segment(3.1, 4.4, word("really?", 3.1, 4.4)),
        ) == [("A", "so we still went"), ("B", "really?")]

    def test_a_last_segment_without_bounds_loses_no_word(self) -> None:
        assert texts(segment(0.2, 1.0, word("so", 0.2, 1.0)), segment(None, None, word("on"))) == [
            ("A", "so on")
        ]

    def test_a_start_without_an_end_is_used(self) -> None:
        assert texts(
            segment(0.0, 6.0, word("well", 0.1, 0.4), word("look", 5.2), word("here", 5.6, 5.9))
        ) == [("A", "well"), ("B", "look here")]

    def test_words_keep_their_order_and_segments_do_not_interleave(self) -> None:
        words = ("do", 0.2, 0.4), ("you", 0.6, 0.8), ("know", 0.55, 1.0)
        assert texts(segment(0.2, 1.0, *(word(*w) for w in words))) == [("A", "do you know")]
        assert texts(
            segment(0.2, 2.4, word("never", 1.3, 1.7), word("arrived", 1.8, 2.4)),
            segment(1.2, 3.0, word("nobody", 1.5, 2.0), word("called", 2.1, 2.6)),
        ) == [("A", "never arrived nobody called")]

    def test_a_turn_lasts_at_least_a_millisecond_in_every_format(self, tmp_path: Path) -> None:
        made = turns(
            segment(1.0, 1.0, word("42")),
            speakers=[SpeakerSegment(0.0, 3.0, "A")],
        )
        assert [(turn.start, turn.end, turn.words) for turn in made] == [(1.0, 1.001, "42")]
        assert "00:00:01.000 --> 00:00:01.001" in turns_to_vtt(made)
        write_turns(tmp_path / "t.json", made)
        assert read_turns(tmp_path / "t.json")[0].duration > 0
        spoken = [SpeakerSegment(turn.start, turn.end, turn.speaker) for turn in made]
        assert parse_rttm(rttm_text("call", spoken), "r")["call"][0].end > 1.0

    def test_captions_of_less_than_a_millisecond_have_a_length(self) -> None:
        assert "00:00:02.000 --> 00:00:02.001" in turns_to_vtt([Turn("r", 2.0, 2.0003, "A", "a")])


class TestText:
    def test_japanese_is_joined_without_spaces(self) -> None:
        spoken = [word(c, 0.2 + i * 0.1, 0.3 + i * 0.1) for i, c in enumerate("今日はいい天気iP")]
        given = [segment(0.2, 1.2, *spoken[:7]), segment(1.2, 1.5, *spoken[7:])]
        assert texts(*given, language="ja") == [("A", "今日はいい天気iP")]
        assert texts(*given[:1]) == [("A", "今日はいい天気")]  # told by its script

    def test_a_segment_of_text_without_spaces_is_shared_by_its_speakers(self) -> None:
        assert texts({"start": 0, "end": 6, "text": "そうですね。はいはい"}, language="ja") == [
            ("A", "そうですね。"),
            ("B", "はいはい"),
        ]

    def test_marks_stay_with_their_letters(self) -> None:
        assert "".join(w.text for w in spaced_words("ที่นี่ครับ", "th")) == "ที่นี่ครับ"
        assert [w.text for w in spaced_words("ที่นี่", "th")] == ["ที่", "นี่"]

    def test_languages_with_spaces_keep_them(self) -> None:
        assert texts(segment(0, 2, word("안녕", 0, 1), word("Zoë", 1, 2)), language="ko") == [
            ("A", "안녕 Zoë")
        ]

    @pytest.mark.parametrize(
        "entry", [{"word": " me", "probability": 0.5}, {"text": "me", "confidence": 0.5}]
    )
    def test_relatives_of_whisperx_keep_their_confidence(self, entry: dict[str, Any]) -> None:
        (turn,) = turns(segment(0, 1, entry | {"start": 0.1, "end": 0.4}))
        assert (turn.words, turn.asr_confidence) == ("me", 0.5)

    def test_a_segment_whose_words_were_not_placed_keeps_its_text(self) -> None:
        assert texts({"start": 0, "end": 2, "text": "one two", "words": []}) == [("A", "one two")]

    def test_blank_words_are_none(self) -> None:
        assert texts(segment(0, 1, word(" "), word("b"), word(""))) == [("A", "b")]

    def test_a_bare_list_and_numbers_are_read(self) -> None:
        (one,) = parse_words([{"start": -0.12, "end": 1, "words": [{"word": 911}]}], "words")
        assert one.words[0].text == "911"


class TestSpeakers:
    @pytest.mark.parametrize(
        "line",
        [
            "SPEAKER mono vocals 1 0.5 1.5 <NA> <NA> A <NA> <NA>",
            "SPEAKER mono vocals 1 0.5 1.5 <NA> <NA> A <NA>",
            "SPEAKER take 2 1 0.5 1.5 <NA> <NA> A <NA>",
            "SPEAKER call 1 0.5 1.5 <NA> <NA> Ann Lee <NA> <NA>",
            "SPEAKER call 1 0.5 1.5 <NA> <NA> Ann Lee <NA>",
            "SPEAKER call 1 0.5 1.5 <NA> <NA> <NA> <NA> <NA>",
            "SPEAKER call 1 0.5 1.5 <NA> <NA> Speaker 2 <NA>",
        ],
    )
    def test_a_space_in_a_name_is_refused_by_its_line(self, line: str) -> None:
        good = "SPEAKER call 1 0 0.5 <NA> <NA> A <NA> <NA>\n"
        with pytest.raises(InputError, match=r"^x: line 2: .*names hold no spaces$"):
            parse_rttm(good + line, "x")

    def test_a_byte_order_mark_is_no_part_of_the_text(self) -> None:
        assert parse_rttm("\ufeffSPEAKER c 1 0 1 <NA> <NA> A <NA>", "x").keys() == {"c"}

    def test_nine_and_ten_fields_confidences_tabs_and_crlf_are_read(self) -> None:
        text = (
            "SPEAKER\tcall\t1\t0.0\t3.0\t<NA>\t<NA>\tMOT*\t<NA>\r\n"
            "SPEAKER call <NA> 3.0 3.0 <NA> <NA> FAT* 0.9 <NA>\r\n"
        )
        assert [s.speaker for s in parse_rttm(text, "x")["call"]] == ["MOT*", "FAT*"]

    def test_a_space_in_a_uem_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "u.uem").write_text("my call 1 0 10\n")
        with pytest.raises(InputError, match="line 1: is not a UEM line: it has 5 fields"):
            read_uem(tmp_path / "u.uem")

    @pytest.mark.parametrize(("start", "end"), [(-1.0, 2.0), (0.0, 2e7)])
    def test_times_outside_any_recording_are_refused(self, start: float, end: float) -> None:
        with pytest.raises(InputError, match=r"^x: A speaks at"):
            only_recording({"call": [SpeakerSegment(start, end, "A")]}, "x", "call")

    def test_two_ways_to_write_an_umlaut_are_one_name(self) -> None:
        line = "SPEAKER {} 1 0 1 <NA> <NA> A <NA> <NA>"
        composed, decomposed = (parse_rttm(line.format(n), "x") for n in ("Ü", "U\u0308"))
        assert composed == decomposed
