"""The method “evidence”: what a listener would say where one word alone does not tell."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from components.align import Method, align, words_with_speakers
from components.align.pauses import usual_pause
from components.base import InputError
from components.conversation import MAX_VOICES, AsrSegment, FrameScores, SpeakerSegment, Word
from tests.components.align.lines import segment


def said(text: str, *times: float) -> AsrSegment:
    """A recognised segment: words, and the start and end of each."""
    spans = zip(times[::2], times[1::2], strict=True)
    words = [Word(word, *span) for word, span in zip(text.split(), spans, strict=True)]
    return segment(*words, start=times[0], end=times[-1])


def even(text: str, start: float, step: float = 0.3) -> AsrSegment:
    """Words one after the other, each `step` seconds long."""
    edges = [start + step * n for n in range(len(text.split()) + 1)]
    return said(text, *(t for pair in pairwise(edges) for t in pair))


def heard(
    segments: list[AsrSegment],
    speakers: list[SpeakerSegment],
    max_pause: float = 1.5,
    scores: FrameScores | None = None,
) -> list[tuple[str, str]]:
    how: dict[str, Any] = {"max_pause": max_pause, "scores": scores}
    turns = align(segments, speakers, session_id="r", method="evidence", **how)
    return [(turn.speaker, turn.words) for turn in turns]


class TestSpeakers:
    def test_who_speaks_inside_another_s_stretch_is_heard(self) -> None:
        words = [
            said("I told them twice", 0.5, 0.7, 0.8, 1.1, 1.2, 1.6, 5.2, 5.8),
            said("mm-hmm", 6.05, 6.5),
            said("and nothing", 7.0, 7.3, 9.6, 10.5),
            said("but why not call us?", 11.1, 11.4, 11.6, 12, 12.2, 12.6, 12.8, 13.2, 13.3, 13.8),
        ]
        inside = [SpeakerSegment(6.0, 6.6, "B"), SpeakerSegment(11.0, 14.0, "B")]
        assert heard(words, [SpeakerSegment(0.0, 20.0, "A"), *inside], max_pause=4.0) == [
            ("A", "I told them twice"),
            ("B", "mm-hmm"),
            ("A", "and nothing"),
            ("B", "but why not call us?"),
        ]

    def test_a_sentence_stays_whole_where_its_last_word_lies_across_the_edge(self) -> None:
        words = [
            said("that was very kind, thank you.",
                 0.2, 0.5, 0.6, 0.9, 1.0, 1.6, 1.7, 2.2, 2.6, 2.94, 3.06, 3.4),
            said("You are welcome.", 3.6, 3.9, 4.0, 4.3, 4.4, 5.0),
        ]  # fmt: skip
        speakers = [SpeakerSegment(0.0, 2.95, "A"), SpeakerSegment(3.05, 6.0, "B")]
        assert heard(words, speakers) == [
            ("A", "that was very kind, thank you."),
            ("B", "You are welcome."),
        ]

    @pytest.mark.parametrize(("max_pause", "turns"), [(0.2, 5), (1.5, 2)])
    def test_the_longest_pause_cuts_turns_and_names_nobody(
        self, max_pause: float, turns: int
    ) -> None:
        words = [
            said("uh yes indeed", 0.5, 0.7, 1.1, 1.5, 2.25, 2.6),
            said("fine then", 4.1, 4.6, 5.25, 5.4),
        ]
        speakers = [SpeakerSegment(1.0, 2.0, "A"), SpeakerSegment(4.0, 5.0, "B")]
        found = heard(words, speakers, max_pause)
        assert len(found) == turns
        assert {who for who, _ in found[: turns // 2 + turns % 2]} == {"A"}
        assert {who for who, _ in found[turns // 2 + turns % 2 :]} == {"B"}

    def test_one_word_of_another_amid_a_sentence_is_the_diarizer_s_error(self) -> None:
        words = [even("we went there by the old road", 0.0)]
        speakers = [SpeakerSegment(0, 0.9, "A"), SpeakerSegment(0.9, 1.2, "B"),
                    SpeakerSegment(1.2, 2.1, "A")]  # fmt: skip
        assert heard(words, speakers) == [("A", "we went there by the old road")]

    def test_a_word_of_two_speakers_goes_with_its_sentence(self) -> None:
        words = [even("Are you there? Yes I am.", 0.0)]
        speakers = [SpeakerSegment(0, 1.15, "A"), SpeakerSegment(0.6, 2, "B")]
        assert heard(words, speakers) == [("A", "Are you there?"), ("B", "Yes I am.")]

    def test_far_from_all_speech_a_sentence_is_nobody_s_and_a_lone_word_is_not(self) -> None:
        speakers = [SpeakerSegment(0, 2, "A"), SpeakerSegment(8, 10, "A")]
        words = [said("so I", 0.5, 1.0, 1.0, 1.5), said("Hello again.", 4.2, 4.5, 4.6, 5.0)]
        assert heard(words, speakers) == [("A", "so I"), ("unknown", "Hello again.")]
        speakers = [SpeakerSegment(0, 1.9, "A"), SpeakerSegment(5.7, 9, "A")]
        sentence = "the one word in the middle is amid what A says"
        assert heard([even(sentence, 1.0, 0.5)], speakers) == [("A", sentence)]

    def test_frame_scores_tell_whose_a_word_is_where_segments_are_wrong(self) -> None:
        words = [even("Are you sure? Quite sure.", 0.0)]
        speakers = [SpeakerSegment(0.0, 1.5, "A"), SpeakerSegment(1.5, 1.6, "B")]
        assert heard(words, speakers) == [("A", "Are you sure? Quite sure.")]
        shares = [[255, 10]] * 9 + [[120, 240]] * 7  # tenths of a second
        scores = FrameScores(("A", "B"), 0.0, 0.1, np.array(shares, dtype=np.uint8))
        assert heard(words, speakers, scores=scores) == [
            ("A", "Are you sure?"),
            ("B", "Quite sure."),
        ]
        nobodys = FrameScores(("C",), 0.0, 0.1, np.full((16, 1), 255, dtype=np.uint8))
        assert heard(words, speakers, scores=nobodys) == heard(words, speakers)

    def test_nobody_speaks(self) -> None:
        assert heard([even("so I", 0.0)], []) == [("unknown", "so I")]
        assert heard([], [SpeakerSegment(0, 1, "A")]) == []

    def test_many_speakers_are_told_apart_where_few_speak_at_once(self) -> None:
        sentence = "Who are you? I am one of many and so are you, as it seems to me."
        words = [even(sentence, 8.0 * n) for n in range(40)]
        speakers = [SpeakerSegment(8.0 * n, 8.0 * n + 6, f"{n:02}") for n in range(40)]
        assert [who for who, _ in heard(words, speakers)] == [f"{n:02}" for n in range(40)]

    def test_too_many_speakers(self) -> None:
        many = [SpeakerSegment(n, n + 1, f"S{n}") for n in range(MAX_VOICES + 1)]
        with pytest.raises(InputError, match="at most 100"):
            heard([even("so", 0.0)], many)


class TestConfidence:
    def test_what_is_contested_is_less_sure_than_what_is_not(self) -> None:
        words = [even("I was there. And so was I.", 0.0)]
        one = [SpeakerSegment(0, 3, "A"), SpeakerSegment(9, 10, "B")]
        two = [SpeakerSegment(0, 3, "A"), SpeakerSegment(0.8, 3, "B")]
        sure, contested = (
            align(words, speakers, session_id="r", method="evidence")[-1].speaker_confidence
            for speakers in (one, two)
        )
        assert sure is not None and contested is not None
        assert 0 <= contested < 0.8 < sure <= 1

    def test_a_turn_s_is_the_mean_of_its_words(self) -> None:
        words = [even("I was there. Yes", 0.0)]
        speakers = [SpeakerSegment(0, 0.8, "A"), SpeakerSegment(0.7, 3, "B")]
        turns = align(words, speakers, session_id="r", method="evidence")
        spoken = words_with_speakers(words, speakers, method="evidence")
        for turn in turns:
            own = [w.speaker_confidence for w in spoken if w.speaker == turn.speaker]
            assert turn.speaker_confidence == pytest.approx(np.mean(own), abs=1e-4)

    def test_overlap_does_not_know(self) -> None:
        words, speakers = [even("I was", 0.0)], [SpeakerSegment(0, 3, "A")]
        assert align(words, speakers, session_id="r")[0].speaker_confidence is None
        assert words_with_speakers(words, speakers)[0].speaker_confidence is None


class TestWordEnds:
    def test_a_word_ends_with_the_speech_that_it_begins_in(self) -> None:
        words = [said("so well", 0.5, 5.0, 5.0, 5.4)]
        speakers = [SpeakerSegment(0, 1.0, "A"), SpeakerSegment(4.9, 6, "B")]
        turns = align(words, speakers, session_id="r", method="evidence")
        assert [(t.speaker, t.words, t.end) for t in turns] == [("A", "so", 1), ("B", "well", 5.4)]

    def test_a_long_word_of_speech_stays(self) -> None:
        words, speakers = [said("$43,000.", 1.0, 3.0)], [SpeakerSegment(0, 9, "A")]
        (word,) = words_with_speakers(words, speakers, method="evidence")
        assert (word.start, word.end) == (1.0, 3.0)

    def test_without_any_speech_it_lasts_a_second(self) -> None:
        (word,) = words_with_speakers([said("so", 1.0, 9.0)], [], method="evidence")
        assert word.end == 2.0


class TestUsualPause:
    def test_is_the_recording_s_own(self) -> None:
        quick = np.r_[np.full(40, 0.1), np.full(20, 0.8)]
        slow = np.r_[np.full(40, 0.4), np.full(20, 3.0)]
        assert 0.1 < usual_pause(quick) < 0.8
        assert 0.5 < usual_pause(slow) < 3.0

    @pytest.mark.parametrize("method", ["overlap", "evidence"])
    def test_auto_cuts_where_this_recording_stops(self, method: Method) -> None:
        """Sentences of four words, 0.1 s apart, and 1 s between sentences."""
        edges = (0, 0.2, 0.3, 0.5, 0.6, 0.8, 0.9, 1.2)
        words = [said("so I was there", *(2.3 * n + t for t in edges)) for n in range(40)]
        speakers = [SpeakerSegment(0, 200, "A")]
        auto = align(words, speakers, session_id="r", max_pause="auto", method=method)
        assert len(auto) == 40
        assert len(align(words, speakers, session_id="r", method=method)) == 1
