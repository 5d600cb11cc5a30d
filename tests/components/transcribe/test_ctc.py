"""The full-size path to word times: `whisperx.align` over a wav2vec 2.0 CTC model.

The model here is tiny and random: where it puts words means nothing, that every word comes back
does.
"""

from pathlib import Path

import numpy as np
import pytest

from components.conversation import SAMPLE_RATE, AsrSegment, Word
from components.transcribe.ctc import CtcAligner
from components.transcribe.word_times import AlignmentError, add_word_times


@pytest.fixture(scope="module")
def aligner(ctc_model: Path, tmp_path_factory: pytest.TempPathFactory) -> CtcAligner:
    return CtcAligner("en", str(ctc_model), "cpu", tmp_path_factory.mktemp("nltk"))


AUDIO = np.random.default_rng(0).normal(0, 0.1, 6 * SAMPLE_RATE).astype(np.float32)


@pytest.mark.parametrize(
    "text",
    [
        "So it is.",
        "I paid $25.50 in 1994, that is 7 % of it.",
        "42",
        "Dr. Smith came. He left! Did he? Yes — no…",
        "naïve 日本 café",
        "... hm",
    ],
)
def test_every_word_comes_back_in_order(aligner: CtcAligner, text: str) -> None:
    words = text.split()
    times = aligner(AUDIO, words)
    assert len(times) == len(words)
    placed = [time for time in times if time is not None]
    assert placed
    assert all(0 <= time.start <= time.end <= 6.01 for time in placed)
    assert [t.start for t in placed] == sorted(t.start for t in placed)


def test_a_text_too_long_for_its_audio_fails_and_keeps_its_words(
    aligner: CtcAligner, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("supercalifragilistic " * 20).split()
    with pytest.raises(AlignmentError):
        aligner(AUDIO[: SAMPLE_RATE // 4], words)
    short = AsrSegment(1.0, 1.01, " ".join(words), tuple(Word(t, None, None) for t in words))
    fine = AsrSegment(3.0, 5.0, "so it is", tuple(Word(t, None, None) for t in ["so", "it", "is"]))
    first, second = add_word_times(AUDIO, [short, fine], [aligner])
    assert first == short
    assert all(word.start is not None for word in second.words)
    assert "could not be placed" in caplog.text


def test_no_sentence_rules_are_downloaded(aligner: CtcAligner) -> None:
    import nltk

    assert Path(nltk.data.find("tokenizers/punkt_tab/english/")).is_dir()
