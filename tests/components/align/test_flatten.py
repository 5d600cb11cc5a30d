"""Words without times get theirs from their neighbours; none is lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from components.align import align, align_baseline, flatten
from components.conversation import (
    AsrSegment,
    SpeakerSegment,
    Word,
    turns_to_vtt,
)
from tests.components.align.lines import segment


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
