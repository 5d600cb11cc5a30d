"""pocketsphinx places known words, invents sounds for unknown ones, and says when it cannot."""

from contextlib import suppress

import numpy as np
import pytest

from components.conversation import SAMPLE_RATE, Word
from components.transcribe.demo.phonetic import PhoneticAligner
from components.transcribe.word_times import AlignmentError


@pytest.fixture(scope="module")
def aligner() -> PhoneticAligner:
    return PhoneticAligner()


def test_words_are_where_they_are(
    aligner: PhoneticAligner, dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    audio, truth = dialogue
    times = aligner(audio, [word.text for word in truth])
    assert len(times) == len(truth)
    errors = [abs(a.start - b.start) for a, b in zip(times, truth, strict=True) if a and b.start]
    assert len(errors) > 0.9 * len(truth)
    assert np.median(errors) < 0.1
    starts = [time.start for time in times if time]
    assert starts == sorted(starts)


def test_what_was_heard_before_moves_no_word(
    aligner: PhoneticAligner, dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    audio, truth = dialogue
    words = [word.text for word in truth]
    alone = PhoneticAligner()(audio, words)
    rng = np.random.default_rng(7)
    for loudness in (0.001, 0.1, 1.0):
        noise = loudness * rng.standard_normal(2 * SAMPLE_RATE).clip(-1, 1).astype(np.float32)
        with suppress(AlignmentError):
            aligner(noise, ["hello"])
        assert aligner(audio, words) == alone


def test_what_no_dictionary_has(
    aligner: PhoneticAligner, dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    audio, truth = dialogue
    words = [word.text for word in truth]
    odd = [*words[:3], "Zyxquorgh", "—", "24/7", "naïve", "’tis", *words[3:]]
    times = aligner(audio, odd)
    assert len(times) == len(odd)
    assert times[4] is None  # a dash has no sound
    assert all(times[n] is not None for n in (3, 5, 6, 7))


@pytest.mark.parametrize("words", [[], ["—", "…"]])
def test_nothing_to_pronounce(aligner: PhoneticAligner, words: list[str]) -> None:
    with pytest.raises(AlignmentError):
        aligner(np.zeros(SAMPLE_RATE, dtype=np.float32), words)


def test_more_words_than_the_audio_can_hold_then_business_as_usual(
    aligner: PhoneticAligner, dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    audio, truth = dialogue
    with pytest.raises(AlignmentError):
        aligner(audio[: SAMPLE_RATE // 5], [word.text for word in truth])
    with pytest.raises(AlignmentError):
        aligner(audio[:0], ["hello"])
    assert any(aligner(audio, [word.text for word in truth]))
