"""Whose a word is."""

import numpy as np

from components.align import attribute
from components.conversation import (
    SpeakerSegment,
)
from tests.components.align.lines import AB, A, who


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
