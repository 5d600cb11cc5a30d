"""The paper's way through whisperx: batches of Whisper, then its alignment with a CTC model.

Whisper is the demo's; the wav2vec 2.0 CTC model is tiny and random, so where it puts words means
nothing: that each comes back, in order and in its place, does.
"""

from pathlib import Path

import pytest

from components.base import InputError
from components.config import Settings, TranscribeSettings, load_profile
from components.conversation import read_audio, read_words
from components.transcribe import Transcriber

pytestmark = pytest.mark.models


def options(ctc_model: Path, **changes: object) -> TranscribeSettings:
    """The paper's, but for the models, which are small."""
    paper = load_profile("paper").transcribe
    small = {"model": "whisper-tiny.en", "align_model": str(ctc_model), **changes}
    return paper.model_copy(update=small)


@pytest.fixture(scope="module")
def full_size(ctc_model: Path, models_home: Path) -> Transcriber:
    return Transcriber(options(ctc_model), Settings(models=models_home))


def test_words_of_each_stretch_are_placed_in_it_by_ctc(
    full_size: Transcriber, demo_corpus: Path
) -> None:
    truth = read_words(demo_corpus / "truth" / "Ses01F_impro01.json")[:4]
    (file,) = demo_corpus.rglob("Ses01F_impro01.ogg")
    audio = read_audio(file, 0, truth[-1].end + 0.2)
    given = [(segment.start, segment.end) for segment in truth]
    transcript = full_size.transcribe(audio, given)
    assert len(transcript) == len(given)
    for segment, (start, end) in zip(transcript, given, strict=True):
        words = [word for word in segment.words if word.start is not None]
        assert words
        assert [w.start for w in words] == sorted(w.start or 0 for w in words)
        assert start - 0.25 <= segment.start <= segment.end <= end + 0.25
    # Batches are of the profile's size, 16; the words are those of one stretch at a time.
    full_size._batch_size = 1
    assert [s.text for s in full_size.transcribe(audio, given)] == [s.text for s in transcript]


def test_half_precision_is_not_asked_of_a_processor(full_size: Transcriber) -> None:
    assert load_profile("paper").transcribe.compute_type == "float16"
    assert full_size._model.model.compute_type.startswith("float32")


def test_a_model_that_is_not_there_and_a_token_that_stays_secret(
    ctc_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_topsecret")
    settings = Settings(models=tmp_path)
    with pytest.raises(InputError, match=r"models of nobody/nothing cannot be loaded") as caught:
        Transcriber(options(ctc_model, model="nobody/nothing"), settings)
    assert "topsecret" not in str(caught.value) + "".join(capfd.readouterr())
    assert "\n" not in str(caught.value)
