"""Aligners are tried in turn on each segment, and no word is ever lost."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.conversation import SAMPLE_RATE, AsrSegment, Word
from components.transcribe.word_times import AlignmentError, WordTime, add_word_times

AUDIO = np.zeros(60 * SAMPLE_RATE, dtype=np.float32)


def segment(start: float, end: float, text: str) -> AsrSegment:
    return AsrSegment(start, end, text, tuple(Word(t, None, None, 0.5) for t in text.split()))


class Even:
    """Spreads the words evenly; fails where it meets the word it is told to."""

    def __init__(self, fails_on: str = "", score: float | None = None) -> None:
        self.fails_on, self.score = fails_on, score
        self.heard: list[float] = []

    def __call__(self, audio: np.ndarray, words: Sequence[str]) -> list[WordTime | None]:
        if self.fails_on in words:
            raise AlignmentError("told to")
        seconds = len(audio) / SAMPLE_RATE
        self.heard.append(seconds)
        step = seconds / len(words)
        return [
            None if word == "—" else WordTime(n * step, (n + 1) * step, self.score)
            for n, word in enumerate(words)
        ]


def test_the_first_aligner_that_can_places_the_words() -> None:
    segments = [segment(1, 3, "so it is"), segment(10, 12, "as I said")]
    first, second = Even(fails_on="said"), Even(score=0.9)
    placed = list(add_word_times(AUDIO, segments, [first, second]))
    assert [word.score for word in placed[0].words] == [0.5] * 3  # the recogniser's
    assert [word.score for word in placed[1].words] == [0.9] * 3
    assert all(word.start is not None for part in placed for word in part.words)


def test_segments_are_taken_one_ahead_and_given_back_as_they_are_placed() -> None:
    segments = [segment(1, 3, "so it is"), segment(10, 12, "as I said"), segment(20, 22, "there")]
    taken: list[float] = []

    def read() -> Iterator[AsrSegment]:
        for part in segments:
            taken.append(part.start)
            yield part

    placed = add_word_times(AUDIO, read(), [Even()])
    assert next(placed).words[0].start is not None
    assert taken == [1, 10]
    assert len(list(placed)) == 2
    assert list(add_word_times(AUDIO, [], [Even()])) == []


def test_where_all_fail_the_words_stay_without_times() -> None:
    before = [segment(1, 3, "so it is")]
    assert list(add_word_times(AUDIO, before, [Even("is"), Even("so")])) == before


def test_a_word_that_cannot_be_placed_stays_among_its_neighbours() -> None:
    (placed,) = add_word_times(AUDIO, [segment(1, 3, "so — it")], [Even()])
    assert [word.text for word in placed.words] == ["so", "—", "it"]
    assert placed.words[1].start is None
    assert placed.words[2].start is not None


def test_an_aligner_hears_a_little_beyond_the_edges_but_not_into_the_neighbours() -> None:
    aligner = Even()
    segments = [segment(0.1, 3, "a"), segment(3.1, 5, "b"), segment(58, 60, "c")]
    placed = list(add_word_times(AUDIO, segments, [aligner]))
    assert aligner.heard == pytest.approx([3.0, 2.15, 2.2], abs=0.1)
    assert placed[0].end <= placed[1].start
    assert placed[-1].end <= 60


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "—", "£5"]), min_size=1, max_size=4), max_size=6),
    st.sampled_from(["a", "b", "none"]),
)
def test_words_in_are_words_out(texts: list[list[str]], fails_on: str) -> None:
    segments = [segment(n * 9.0, n * 9.0 + 8, " ".join(text)) for n, text in enumerate(texts)]
    placed = list(add_word_times(AUDIO, segments, [Even(fails_on), Even("b")]))
    assert [[w.text for w in part.words] for part in placed] == texts
    for part in placed:
        for word in part.words:
            if word.start is not None and word.end is not None:
                assert part.start <= word.start <= word.end <= part.end
