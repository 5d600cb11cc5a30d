"""The four rules of alignment, each on a time line small enough to check by eye."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.align import align, align_baseline, align_corpus, attribute, flatten
from components.base import InputError
from components.conversation import (
    EXCLUSIVE,
    SPEAKERS,
    TRANSCRIPTS,
    AsrSegment,
    Document,
    SpeakerSegment,
    Word,
    read_turns_of,
    read_words,
    rttm_text,
    turns_to_vtt,
    words_text,
    write_documents,
)


def segment(*words: Word, start: float = 0.0, end: float = 100.0) -> AsrSegment:
    return AsrSegment(start, end, " ".join(w.text for w in words), words)


def who(start: float, end: float, *speakers: SpeakerSegment, max_pause: float = 1.5) -> str:
    return attribute(np.array([start]), np.array([end]), speakers, max_pause=max_pause)[0]


A = [SpeakerSegment(0.0, 2.0, "A")]
AB = [SpeakerSegment(0.0, 2.0, "A"), SpeakerSegment(2.0, 4.0, "B")]


class TestFlatten:
    def test_untimed_words_share_the_gap_between_their_neighbours(self) -> None:
        # |a|  42  is  |b|  : 1.0 to 3.0 in two equal parts
        words = flatten(
            [
                segment(
                    Word("a", 0.0, 1.0),
                    Word("42", None, None),
                    Word("is", None, None),
                    Word("b", 3.0, 4.0),
                )
            ]
        )
        assert [(w.text, w.start, w.end) for w in words] == [
            ("a", 0.0, 1.0),
            ("42", 1.0, 2.0),
            ("is", 2.0, 3.0),
            ("b", 3.0, 4.0),
        ]

    def test_segment_bounds_stand_where_there_is_no_neighbour(self) -> None:
        words = flatten(
            [
                segment(
                    Word("x", None, None),
                    Word("b", 6.0, 7.0),
                    Word("y", None, None),
                    start=5,
                    end=9,
                )
            ]
        )
        assert [(w.start, w.end) for w in words] == [(5.0, 6.0), (6.0, 7.0), (7.0, 9.0)]

    def test_a_segment_without_any_times_spreads_evenly(self) -> None:
        words = flatten([segment(*(Word(t, None, None) for t in "abcd"), start=2, end=4)])
        assert [w.start for w in words] == [2.0, 2.5, 3.0, 3.5]
        assert words[-1].end == 4.0

    def test_neighbours_of_another_segment_do_not_count(self) -> None:
        # the untimed word's segment begins at 5, though the word before ended at 1
        words = flatten(
            [
                segment(Word("a", 0, 1), start=0, end=1),
                segment(Word("7", None, None), start=5, end=6),
            ]
        )
        assert (words[1].start, words[1].end) == (5, 6)

    def test_no_gap_leaves_instants(self) -> None:
        words = flatten([segment(Word("a", 0, 2), Word("7", None, None), Word("b", 1.5, 3))])
        assert [(w.text, w.start, w.end) for w in words] == [
            ("a", 0, 2),
            ("7", 2, 2),
            ("b", 1.5, 3),
        ]

    def test_words_are_ordered_across_segments(self) -> None:
        words = flatten(
            [
                segment(Word("late", 5, 6), Word("end", 6, 7), start=5, end=7),
                segment(Word("early", 1, 9), start=1, end=9),
            ]
        )
        assert [w.text for w in words] == ["early", "late", "end"]

    def test_a_segment_s_words_stay_in_their_order_whatever_their_times_say(self) -> None:
        words = flatten([segment(Word("you", 0.6, 0.8), Word("know", 0.55, 1.0))])
        assert [w.text for w in words] == ["you", "know"]

    def test_segments_that_overlap_do_not_interleave(self) -> None:
        words = flatten(
            [
                segment(Word("and", 1.2, 1.4), Word("nobody", 1.5, 2.0), start=1.2, end=3.0),
                segment(Word("never", 1.3, 1.7), Word("arrived", 1.8, 2.4), start=0.2, end=2.4),
            ]
        )
        assert [w.text for w in words] == ["never", "arrived", "and", "nobody"]

    def test_a_word_of_which_half_is_known_does_not_fill_its_gap(self) -> None:
        # |a|  |look  x|  y  z|  : “look” starts at 5, “x” ends at 7, “z” at 11; “y” gets the rest
        words = flatten(
            [
                segment(
                    Word("a", 0, 1),
                    Word("look", 5, None),
                    Word("x", None, 7),
                    Word("y", None, None),
                    Word("z", None, 11),
                )
            ]
        )
        assert [(w.start, w.end) for w in words] == [
            *[(0, 1), (5, 5.5), (6.5, 7), (7, 10.5), (10.5, 11)]
        ]

    def test_words_of_which_half_is_known_share_a_gap_that_is_narrow(self) -> None:
        # starts at 1.0, the next ends at 1.5; between them one without times
        words = flatten(
            [segment(Word("so", 1.0, None), Word("it", None, None), Word("is", None, 1.75))]
        )
        assert [(w.start, w.end) for w in words] == [(1.0, 1.25), (1.25, 1.5), (1.5, 1.75)]

    def test_a_known_time_that_goes_back_is_kept(self) -> None:
        words = flatten([segment(Word("a", 5, 6), Word("b", None, 3), Word("c", 2, None))])
        assert [(w.start, w.end) for w in words] == [(5, 6), (3, 3), (2, 2.5)]

    def test_a_word_with_a_start_alone_belongs_to_who_speaks_there(self) -> None:
        words = segment(Word("look", 2.2, None), end=60.0)
        speakers = [SpeakerSegment(2.0, 4.0, "B"), SpeakerSegment(4.0, 60.0, "A")]
        (turn,) = align([words], speakers, session_id="r")
        assert (turn.speaker, turn.start, turn.end) == ("B", 2.2, 2.7)


class TestAttribute:
    def test_longest_inside(self) -> None:
        assert who(1.7, 2.2, *AB) == "A"
        assert who(1.9, 2.2, *AB) == "B"

    def test_speech_is_the_union_of_segments(self) -> None:
        # A's two segments overlap; their union in the word is 1.0 s, not 1.6 s; B has 1.2 s
        speakers = [
            SpeakerSegment(0.0, 1.0, "A"),
            SpeakerSegment(0.2, 0.8, "A"),
            SpeakerSegment(0.8, 2.0, "B"),
        ]
        assert who(0.0, 2.0, *speakers) == "B"

    def test_segment_inside_an_earlier_longer_one(self) -> None:
        speakers = [
            SpeakerSegment(0, 10, "A"),
            SpeakerSegment(1, 2, "A"),
            SpeakerSegment(8, 9, "B"),
        ]
        assert who(5.0, 9.0, *speakers) == "A"

    def test_a_tie_goes_to_the_previous_speaker_else_to_label_order(self) -> None:
        both = [SpeakerSegment(0, 4, "B"), SpeakerSegment(0, 4, "A"), SpeakerSegment(4, 5, "C")]
        assert who(1.0, 2.0, *both) == "A"
        b_first = [SpeakerSegment(0, 1, "B"), SpeakerSegment(1, 3, "A"), SpeakerSegment(1, 3, "B")]
        assert attribute(np.array([0.0, 1, 2]), np.array([1.0, 2, 3]), b_first) == ["B", "B", "B"]

    def test_a_tie_ignores_a_previous_speaker_who_is_not_tied(self) -> None:
        c_first = [SpeakerSegment(0, 1, "C"), SpeakerSegment(1, 2, "B"), SpeakerSegment(1, 2, "A")]
        assert attribute(np.array([0.0, 1.0]), np.array([1.0, 2.0]), c_first) == ["C", "A"]

    def test_equal_lengths_are_equal_in_spite_of_floating_point(self) -> None:
        # 0.1 + 0.2 style: both speak exactly 0.1 s inside the word
        speakers = [SpeakerSegment(0.7, 0.8, "B"), SpeakerSegment(0.8, 0.9, "A")]
        assert who(0.7, 0.9, *speakers) == "A"

    def test_an_instant_belongs_to_who_speaks_at_it(self) -> None:
        assert who(1.0, 1.0, *AB) == "A"
        assert who(3.0, 3.0, *AB) == "B"

    def test_nearest_within_max_pause_else_unknown(self) -> None:
        assert who(3.5, 3.6, *A) == "A"  # exactly 1.5 s after
        assert who(3.500002, 3.6, *A) == "unknown"
        assert who(4.0, 4.5, *A, max_pause=2.0) == "A"
        later = [*A, SpeakerSegment(3.0, 4.0, "B")]
        assert who(2.3, 2.4, *later) == "A"
        assert who(2.6, 2.8, *later) == "B"
        assert who(2.25, 2.75, *later) == "A"  # as near to either: label order

    def test_nobody_speaks_at_all(self) -> None:
        assert who(0.0, 1.0) == "unknown"

    def test_no_words(self) -> None:
        assert attribute(np.array([]), np.array([]), AB) == []


class TestTurns:
    def test_change_of_speaker_begins_a_turn(self) -> None:
        words = segment(Word("hi", 0.5, 1.0), Word("you", 1.0, 1.9), Word("yes", 2.1, 2.5))
        turns = align([words], AB, session_id="r")
        assert [(t.speaker, t.words, t.start, t.end) for t in turns] == [
            ("A", "hi you", 0.5, 1.9),
            ("B", "yes", 2.1, 2.5),
        ]

    @pytest.mark.parametrize(("start", "turns"), [(2.5, 1), (2.500001, 2)])
    def test_a_pause_of_exactly_max_pause_still_belongs(self, start: float, turns: int) -> None:
        words = segment(Word("a", 0, 1.0), Word("b", start, 3))
        assert len(align([words], [SpeakerSegment(0, 9, "A")], session_id="r")) == turns

    def test_the_latest_end_is_the_turns_end(self) -> None:
        words = segment(Word("long", 0, 5), Word("short", 1, 2))
        (turn,) = align([words], [SpeakerSegment(0, 9, "A")], session_id="r")
        assert (turn.start, turn.end) == (0, 5)

    def test_confidence_is_the_mean_of_the_scores_there_are(self) -> None:
        words = segment(Word("a", 0, 1, 0.5), Word("b", 1, 2), Word("c", 2, 3, 1.0))
        (turn,) = align([words], [], session_id="r")
        assert turn.asr_confidence == 0.75
        assert turn.speaker == "unknown"

    def test_nothing_recognised(self) -> None:
        assert align([], AB, session_id="r") == []


class TestBaseline:
    def test_a_segment_goes_whole_to_who_overlaps_it_most(self) -> None:
        # alignment splits it at 2.0; the baseline gives B's word to A
        words = segment(Word("one", 0.2, 1), Word("two", 1, 1.9), Word("yes", 2.1, 2.9), end=3)
        (turn,) = align_baseline([words], AB, session_id="r")
        assert (turn.speaker, turn.words, turn.start, turn.end) == ("A", "one two yes", 0.0, 3)
        assert len(align([words], AB, session_id="r")) == 2

    def test_segments_without_words_give_no_turn(self) -> None:
        assert align_baseline([segment()], AB, session_id="r") == []


def packed(folder: Path, words: Sequence[str], speakers: Mapping[str, str]) -> tuple[Path, Path]:
    """Transcripts of recordings, and RTTM of the recording that each one's speakers are of."""
    said = words_text([segment(Word("a", 0, 1))])
    spoken = [(name, kind, of) for name, of in speakers.items() for kind in (SPEAKERS, EXCLUSIVE)]
    write_documents(folder / "words", [Document(name, TRANSCRIPTS, said) for name in words])
    write_documents(folder / "rttm", [Document(n, k, rttm_text(of, A)) for n, k, of in spoken])
    return folder / "words", folder / "rttm"


class TestCorpus:
    def test_writes_seglst_for_every_transcript_of_every_shard(self, tmp_path: Path) -> None:
        first = packed(tmp_path / "0", ["r1", "r3"], {"r1": "r1", "r3": "r3"})
        second = packed(tmp_path / "1", ["r2"], {"r2": "r2"})
        steps: list[tuple[int, int]] = []
        count = align_corpus(
            *zip(first, second, strict=True),
            tmp_path / "turns",
            progress=lambda *step: steps.append(step),
        )
        assert (count, steps[-1]) == (3, (3, 3))
        turns = dict(read_turns_of(tmp_path / "turns", ["r1", "r2", "r3"]))
        assert list(turns) == ["r1", "r3", "r2"]
        for name, (turn,) in turns.items():
            assert (turn.session_id, turn.speaker, turn.words) == (name, "A", "a")

    @pytest.mark.parametrize(
        ("speakers", "fault"),
        [
            ({"r1": "r1"}, "rttm: no speakers of r2: it has none"),
            ({"r2": "r2", "r1": "r1"}, "rttm: no speakers of r1: its place is that of r2"),
            ({"r1": "r9", "r2": "r2"}, "rttm: r1: is of r9"),
        ],
    )
    def test_speakers_that_do_not_fit_are_named_and_nothing_is_left(
        self, speakers: Mapping[str, str], fault: str, tmp_path: Path
    ) -> None:
        words, rttm = packed(tmp_path, ["r1", "r2"], speakers)
        with pytest.raises(InputError, match=fault):
            align_corpus([words], [rttm], tmp_path / "turns")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["rttm", "words"]

    def test_no_transcripts(self, tmp_path: Path) -> None:
        words, rttm = packed(tmp_path, [], {})
        with pytest.raises(InputError, match="words: no transcripts in there"):
            align_corpus([words], [rttm], tmp_path / "turns")


times = st.one_of(st.none(), st.integers(0, 40).map(lambda n: n / 4))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[AsrSegment], list[SpeakerSegment]]:
    segments = []
    for number in range(draw(st.integers(0, 4))):
        words = []
        for index in range(draw(st.integers(0, 6))):
            start, length = draw(times), draw(st.integers(0, 8)) / 4
            end = None if start is None else start + length
            words.append(Word(f"w{number}.{index}", start, end))
        start = draw(st.integers(0, 40)) / 4
        segments.append(segment(*words, start=start, end=start + draw(st.integers(0, 20)) / 4))
    speakers = [
        SpeakerSegment(start / 4, (start + length) / 4, name)
        for start, length, name in draw(
            st.lists(st.tuples(st.integers(0, 48), st.integers(0, 16), st.sampled_from("ABC")))
        )
    ]
    return segments, speakers


@st.composite
def half_known(draw: st.DrawFn) -> list[AsrSegment]:
    """Segments whose words have both times, one of them, or none; in order of time, or not."""
    segments = []
    ordered = draw(st.booleans())
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, 7))
        edges = draw(st.lists(st.floats(0, 30), min_size=2 * count + 2, max_size=2 * count + 2))
        edges = sorted(edges) if ordered else edges
        low, high = min(edges[0], edges[-1]), max(edges[0], edges[-1])
        spans = [sorted(edges[i : i + 2]) for i in range(1, 2 * count, 2)]
        words = [
            Word(str(index), *(edge if draw(st.booleans()) else None for edge in span))
            for index, span in enumerate(spans)
        ]
        segments.append(segment(*words, start=low, end=high))
    return segments


@given(half_known())
def test_known_times_are_kept_and_what_is_filled_in_is_in_order(segments: list[AsrSegment]) -> None:
    filled = flatten(segments)
    given = [word for s in sorted(segments, key=lambda s: (s.start, s.end)) for word in s.words]
    assert [word.text for word in filled] == [word.text for word in given]
    for before, after in zip(given, filled, strict=True):
        assert before.start in (None, after.start)
        assert before.end in (None, after.end)
        assert after.start <= after.end
    for one in segments:
        known = [t for w in one.words for t in (w.start, w.end) if t is not None]
        if [one.start, *known, one.end] == sorted([one.start, *known, one.end]):
            edges = [t for w in flatten([one]) for t in (w.start, w.end)]
            assert all(b >= a - 1e-9 for a, b in pairwise([one.start, *edges, one.end]))
    speakers = [SpeakerSegment(0.0, 9.0, "A"), SpeakerSegment(9.0, 30.0, "B")]
    for join in (align, align_baseline):
        turns = join(segments, speakers, session_id="r")
        assert all(turn.duration > 0 for turn in turns)
        for line in turns_to_vtt(turns).splitlines():
            start, arrow, end = line.partition(" --> ")
            assert not arrow or start < end  # as texts of one length


def slow_attribute(
    words: list[Word], segments: list[SpeakerSegment], max_pause: float
) -> list[str]:
    """Rule 2 as it reads, in quarter seconds, with loops."""
    result: list[str] = []
    for word in words:
        inside: dict[str, int] = {}
        distance: dict[str, float] = {}
        start, end = round(word.start * 1e6), round(word.end * 1e6)
        for name in {s.speaker for s in segments}:
            cuts = sorted(
                {start, end}
                | {
                    min(max(round(t * 1e6), start), end)
                    for s in segments
                    if s.speaker == name
                    for t in (s.start, s.end)
                }
            )
            inside[name] = sum(
                b - a
                for a, b in pairwise(cuts)
                if any(
                    s.speaker == name and s.start * 1e6 <= a and b <= s.end * 1e6 for s in segments
                )
            )
            distance[name] = min(
                max(0, round(s.start * 1e6) - end, start - round(s.end * 1e6))
                for s in segments
                if s.speaker == name
            )
        best = max(inside.values(), default=0)
        if best:
            tied = sorted(n for n in inside if inside[n] == best)
        else:
            near = min(distance.values(), default=1e18)
            tied = sorted(n for n in distance if distance[n] == near and near <= max_pause * 1e6)
        previous = result[-1] if result else None
        result.append(previous if previous in tied else tied[0] if tied else "unknown")
    return result


@given(conversations(), st.sampled_from([0.0, 0.5, 1.5]))
def test_rules_hold_on_any_conversation(
    conversation: tuple[list[AsrSegment], list[SpeakerSegment]], max_pause: float
) -> None:
    segments, speakers = conversation
    words = flatten(segments)
    spoken = sorted(w.text for s in segments for w in s.words)
    assert sorted(w.text for w in words) == spoken
    owners = attribute(
        np.array([w.start for w in words]), np.array([w.end for w in words]), speakers,
        max_pause=max_pause,
    )  # fmt: skip
    assert owners == slow_attribute(words, speakers, max_pause)
    turns = align(segments, speakers, session_id="r", max_pause=max_pause)
    assert sorted(word for t in turns for word in t.words.split()) == spoken
    baseline = align_baseline(segments, speakers, session_id="r", max_pause=max_pause)
    assert sorted(word for t in baseline for word in t.words.split()) == spoken


def test_anyones_whisperx_output_is_read(tmp_path: Path) -> None:
    """WhisperX leaves numbers without times and puts NaN where it has no score."""
    text = (
        '{"segments": [{"start": 0.5, "end": 3.0, "text": " I have 42 cats.", "words": ['
        '{"word": "I", "start": 0.5, "end": 0.6, "score": 0.9, "speaker": "SPEAKER_00"},'
        '{"word": "have", "start": 0.7, "end": 1.0, "score": NaN}, {"word": "42"},'
        '{"word": "cats.", "start": 2.0, "end": 3.0, "score": 0.7}]}], "word_segments": []}'
    )
    assert json.loads(text)
    path = tmp_path / "r.json"
    path.write_text(text)
    (turn,) = align(read_words(path), A, session_id="r")
    assert turn.words == "I have 42 cats."
    assert turn.asr_confidence == pytest.approx(0.8)
