"""The demo's recogniser on synthetic and on real speech, and on what is not speech."""

import io
import re
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
import soxr

from components.base import InputError
from components.config import Settings, load_profile
from components.conversation import SAMPLE_RATE, AsrSegment, Word, read_audio
from components.transcribe import Transcriber
from components.transcribe.attention import AttentionAligner

pytestmark = pytest.mark.models


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def said(segments: list[AsrSegment]) -> str:
    return plain(" ".join(word.text for part in segments for word in part.words))


@pytest.fixture(scope="module")
def transcript(
    transcriber: Transcriber, dialogue: tuple[np.ndarray, list[Word]]
) -> list[AsrSegment]:
    return transcriber.transcribe(dialogue[0])


def test_the_words_of_a_dialogue(
    transcript: list[AsrSegment], dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    truth = plain(" ".join(word.text for word in dialogue[1]))
    assert jiwer.wer(truth, said(transcript)) < 0.15


def words_of(transcript: list[AsrSegment]) -> list[Word]:
    return [word for part in transcript for word in part.words]


def test_steps_are_short_and_change_nothing(
    transcriber: Transcriber,
    dialogue: tuple[np.ndarray, list[Word]],
    transcript: list[AsrSegment],
) -> None:
    """One after voice activity detection, and two a stretch: it was read, its words have times."""
    shares: list[float] = []
    again = transcriber.transcribe(dialogue[0], step=shares.append)
    assert [part.text for part in again] == [part.text for part in transcript]
    # Equal but for the last digits: on a busy machine sums are not always taken in one order.
    for one, other in zip(words_of(again), words_of(transcript), strict=True):
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.05)
        assert one.score == pytest.approx(other.score, abs=0.01)
    assert shares == sorted(shares)
    assert shares[0] == 0 and shares[-1] == 1
    assert any(0 < share < 1 for share in shares)


def test_words_have_times_in_order_and_are_those_of_the_text(
    transcript: list[AsrSegment],
) -> None:
    for part in transcript:
        assert part.text.split() == [word.text for word in part.words]
        for word in part.words:
            assert word.start is not None
            assert word.end is not None
            assert part.start <= word.start <= word.end <= part.end
            assert 0 < (word.score or 0) <= 1
    starts = [word.start for part in transcript for word in part.words if word.start is not None]
    assert starts == sorted(starts)


def test_times_are_right(
    transcript: list[AsrSegment], dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    truth = {plain(word.text): word.start for word in dialogue[1] if word.start is not None}
    counted = [plain(word.text) for word in dialogue[1]]
    errors = [
        abs(word.start - truth[plain(word.text)])
        for part in transcript
        for word in part.words
        if counted.count(plain(word.text)) == 1 and word.start is not None
    ]
    assert len(errors) > 10
    assert np.median(errors) < 0.1


def test_the_fallback_places_the_same_words(
    transcriber: Transcriber, dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    audio, truth = dialogue
    texts = [word.text for word in truth]
    recognised = AttentionAligner(transcriber._model, "en")(audio, texts)
    assert len(recognised) == len(truth)
    errors = [
        abs(a.start - b.start) for a, b in zip(recognised, truth, strict=True) if a and b.start
    ]
    assert np.median(errors) < 0.3


def test_real_people_on_the_telephone(transcriber: Transcriber, sample_dir: Path) -> None:
    stm = (sample_dir / "sample.stm").read_text().splitlines()
    truth = plain(" ".join(line.split(maxsplit=5)[5] for line in stm))
    recognised = transcriber.transcribe(read_audio(sample_dir / "sample.wav"))
    assert jiwer.wer(truth, said(recognised)) < 0.3


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(0, dtype=np.float32),
        np.zeros(1, dtype=np.float32),
        np.zeros(5 * SAMPLE_RATE, dtype=np.float32),
        np.random.default_rng(0).normal(0, 0.1, 5 * SAMPLE_RATE).astype(np.float32),
    ],
    ids=["nothing", "one sample", "silence", "noise"],
)
def test_where_nobody_speaks_there_are_no_segments(
    transcriber: Transcriber, audio: np.ndarray
) -> None:
    assert transcriber.transcribe(audio) == []


def test_8_khz_stereo_with_one_side_each(
    transcriber: Transcriber, dialogue: tuple[np.ndarray, list[Word]]
) -> None:
    audio, truth = dialogue
    narrow = soxr.resample(audio, SAMPLE_RATE, 8000)
    stereo = np.stack([narrow, np.zeros_like(narrow)], axis=1)
    file = io.BytesIO()
    soundfile.write(file, stereo, 8000, format="WAV")
    recognised = said(transcriber.transcribe(read_audio(file)))
    assert jiwer.wer(plain(" ".join(word.text for word in truth)), recognised) < 0.3


def test_nothing_is_written_to_standard_output(
    transcriber: Transcriber, capfd: pytest.CaptureFixture[str]
) -> None:
    transcriber.transcribe(np.zeros(2 * SAMPLE_RATE, dtype=np.float32))
    assert capfd.readouterr().out == ""


def test_a_model_that_is_not_there(models_home: Path) -> None:
    options = load_profile("tiny").transcribe.model_copy(update={"model": "whisper-huge.xx"})
    with pytest.raises(InputError, match=r"whisper-huge\.xx"):
        Transcriber(options, Settings(models=models_home))
