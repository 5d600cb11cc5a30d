"""Turns too long for the model are cut, and their windows' answers averaged by duration."""

from collections.abc import Callable

import numpy as np
import pytest
from tokenizers import Tokenizer

from components.base import InputError
from components.fusion import Clip, average_windows, clip_windows, predict
from components.fusion.model import MoodlineModel

Make = Callable[..., MoodlineModel]


def test_a_short_clip_is_one_window(tokenizer: Tokenizer) -> None:
    audio = np.arange(100, dtype=np.float32)
    (window,) = clip_windows([(audio, "we will go")], tokenizer, 100, 24)
    assert np.array_equal(window.audio, audio)
    assert window.input_ids == tokenizer.encode("we will go").ids == [2, 11, 12, 13, 3]
    assert window.weight == 1.0


def test_sound_and_words_are_cut_together(tokenizer: Tokenizer) -> None:
    audio = np.arange(250, dtype=np.float32)
    windows = clip_windows([(audio, "we will go now yes no")], tokenizer, 100, 24)
    assert [len(w.audio) for w in windows] == [83, 84, 83]
    assert np.array_equal(np.concatenate([w.audio for w in windows]), audio)
    assert [w.input_ids for w in windows] == [[2, 11, 12, 3], [2, 13, 14, 3], [2, 5, 4, 3]]
    assert sum(w.weight for w in windows) == pytest.approx(1.0)


def test_many_words_are_cut_too(tokenizer: Tokenizer) -> None:
    windows = clip_windows([(np.zeros(10, "f4"), "go " * 50)], tokenizer, 100, 24)
    assert len(windows) == 3
    assert all(len(w.input_ids) <= 24 for w in windows)
    assert sum(len(w.input_ids) - 2 for w in windows) == 50


@pytest.mark.parametrize(("samples", "words"), [(0, ""), (1, "go " * 100), (2, "no")])
def test_the_smallest_clips(tokenizer: Tokenizer, samples: int, words: str) -> None:
    windows = clip_windows([(np.ones(samples, "f4"), words)], tokenizer, 100, 24)
    assert all(len(w.audio) >= 1 and len(w.input_ids) >= 2 for w in windows)
    assert sum(w.weight for w in windows) == pytest.approx(1.0)


def test_sound_that_is_not_numbers_is_refused(tokenizer: Tokenizer) -> None:
    good = (np.zeros(9, "f4"), "")
    with pytest.raises(InputError, match=r"clip 1: .* not numbers"):
        clip_windows([good, (np.array([0.0, np.nan], "f4"), "")], tokenizer, 100, 24)
    with pytest.raises(InputError, match=r"clip 0: .* not numbers"):
        clip_windows([(np.array([np.inf], "f4"), "")], tokenizer, 100, 24)
    with pytest.raises(InputError, match="not one channel"):
        clip_windows([(np.zeros((9, 2), "f4"), "")], tokenizer, 100, 24)


def test_a_long_turns_answer_is_its_windows_average(make_model: Make, tokenizer: Tokenizer) -> None:
    model = make_model("wav2vec2", max_seconds=1.0)
    audio = (0.1 * np.random.default_rng(0).standard_normal(40_000)).astype("f4")
    text = "we will go now yes no"
    windows = clip_windows([(audio, text)], tokenizer, 16_000, 24)
    pieces: list[Clip] = [
        (w.audio, t) for w, t in zip(windows, ["we will", "go now", "yes no"], strict=True)
    ]
    apart, vectors = predict(model, pieces, tokenizer=tokenizer)
    whole, vector = predict(model, [(audio, text)], tokenizer=tokenizer)
    weights = np.array([len(p[0]) for p in pieces]) / len(audio)
    assert whole[0] == pytest.approx(weights @ apart, abs=1e-5)
    assert vector[0] == pytest.approx(weights @ vectors, abs=1e-4)
    assert np.ptp(apart, axis=0).max() > 1e-4


def test_windows_go_back_to_their_clips(tokenizer: Tokenizer) -> None:
    clips = [(np.zeros(n, "f4"), "") for n in (150, 50, 300)]
    windows = clip_windows(clips, tokenizer, 100, 24)
    assert [w.clip for w in windows] == [0, 0, 1, 2, 2, 2]
    answers = np.array([[0.0], [1.0], [5.0], [0.0], [3.0], [6.0]])
    assert average_windows(windows, answers, 3) == pytest.approx(np.array([[0.5], [5], [3]]))


def test_no_clips_no_answers(make_model: Make, tokenizer: Tokenizer) -> None:
    probabilities, embeddings = predict(make_model(), [], tokenizer=tokenizer)
    assert (probabilities.shape, embeddings.shape) == ((0, 4), (0, 32))


def test_batches_are_of_like_lengths_and_progress_is_told(
    make_model: Make, tokenizer: Tokenizer
) -> None:
    steps: list[tuple[int, int]] = []
    lengths = [4000] * 4 + [3700] * 2 + [2000]  # the last is too short to go with any other
    predict(
        make_model("hubert"),
        [(np.zeros(n, "f4"), "") for n in lengths],
        batch_size=3,
        tokenizer=tokenizer,
        progress=lambda *step: steps.append(step),
    )
    assert steps == [(3, 7), (6, 7), (7, 7)]
