"""One pass of a segmentation network is pyannote's own for speakers, and WhisperX's for speech."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from components.base import InputError, Stopped
from components.config import Settings, load_profile
from components.conversation import SAMPLE_RATE, read_audio
from components.diarize import Diarizer
from components.segmentation import Segmentation, open_segmentation
from components.transcribe import Transcriber
from components.transcribe.stretches import SpeechFinder, speech_stretches

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def audio(demo_corpus: Path) -> np.ndarray:
    (path,) = demo_corpus.rglob("Ses03M_script02_2.ogg")
    return read_audio(path)[: 33 * SAMPLE_RATE]


@pytest.fixture(scope="module", params=["diarization-campplus", "diarization-demo"])
def segmentation(request: pytest.FixtureRequest, models_home: Path) -> Segmentation:
    return open_segmentation(models_home / str(request.param), "cpu")


@pytest.mark.parametrize("seconds", [0.3, 5.0, 10.0, 13.0, 33.0])
def test_it_hears_what_pyannote_hears(
    segmentation: Segmentation, audio: np.ndarray, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shorter than a chunk, a whole number of steps, and with a rest; on one core and on two."""
    sound = audio[: round(seconds * SAMPLE_RATE)]
    waveform = torch.from_numpy(sound)[None]
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    expected = segmentation._inference({"waveform": waveform, "sample_rate": SAMPLE_RATE})
    for cores in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        shares: list[float] = []
        heard = segmentation(sound, shares.append)
        ours, theirs = heard.speakers.sliding_window, expected.sliding_window
        assert (ours.start, ours.step, ours.duration) == (0.0, theirs.step, theirs.duration)
        # a network that chooses among sets is sure of one; the other tells probabilities
        np.testing.assert_allclose(heard.speakers.data, expected.data, atol=1e-4)
        assert shares == sorted(shares) and shares[-1] == 1
        assert heard.speech.data.min() >= 0
        assert heard.speech.data.max() <= 1 + 1e-5


def test_a_batch_that_does_not_fit_a_gpu_is_halved(
    segmentation: Segmentation, audio: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network raises what torch raises there."""
    expected = segmentation(audio)
    hear, sizes = segmentation._hear_batch, list[int]()

    def small(chunks: torch.Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
        if len(chunks) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        sizes.append(len(chunks))
        return hear(chunks)

    monkeypatch.setattr(segmentation, "_hear_batch", small)
    heard = segmentation(audio)
    assert len(sizes) == len(expected.speakers.data) > 4
    np.testing.assert_allclose(heard.speakers.data, expected.speakers.data, atol=1e-4)
    np.testing.assert_allclose(heard.speech.data, expected.speech.data, atol=1e-4)


def test_its_speech_is_whisperx_s(audio: np.ndarray, models_home: Path) -> None:
    """The smaller pipeline's network is the one of WhisperX's voice activity detection."""
    finder = SpeechFinder("cpu")
    sound = {"waveform": torch.from_numpy(audio)[None], "sample_rate": SAMPLE_RATE}
    expected = finder._vad(sound)
    heard = open_segmentation(models_home / "diarization-demo", "cpu")(audio).speech
    np.testing.assert_allclose(heard.data, expected.data, atol=1e-4)
    stretches = speech_stretches(heard, len(audio) / SAMPLE_RATE)
    np.testing.assert_allclose(stretches, finder(audio), atol=0.02)


@pytest.mark.parametrize(("given", "most"), [(1, 1), (16, 4)])
def test_it_has_a_thread_a_core_and_few_on_a_large_machine(
    segmentation: Segmentation,
    audio: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    given: int,
    most: int,
) -> None:
    """Each thread takes memory; and torch starts no more of its own, where others have a core."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setenv("OMP_NUM_THREADS", str(given))
    seen: set[tuple[str, int]] = set()

    def forward(*_: object) -> None:
        seen.add((threading.current_thread().name, torch.get_num_threads()))

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    hook = segmentation._inference.model.register_forward_pre_hook(forward)
    try:
        segmentation(np.tile(audio, 2))
        assert torch.get_num_threads() == 2
    finally:
        hook.remove()
        torch.set_num_threads(before)
    assert {threads for _, threads in seen} == {1}
    assert len(seen) <= most


def test_what_a_step_raises_ends_it(segmentation: Segmentation, audio: np.ndarray) -> None:
    def stop(share: float) -> None:
        assert share < 1
        raise Stopped("nobody waits")

    with pytest.raises(Stopped) as raised:
        segmentation(np.tile(audio, 4), stop)
    assert raised.tb, "which holds what was being done"
    assert not [thread.name for thread in threading.enumerate() if "segment" in thread.name]


def test_one_pass_serves_words_and_speakers(audio: np.ndarray, models_home: Path) -> None:
    """As the pipeline's steps do it, each with a pass of its own, and as `analyze` does."""
    settings = Settings(models=models_home)
    profile = load_profile("demo", ["transcribe.model=whisper-tiny.en"])
    assert profile.transcribe.speech == profile.diarize.pipeline
    transcriber, diarizer = (
        Transcriber(profile.transcribe, settings),
        Diarizer(profile.diarize, settings),
    )
    segmented = diarizer.segment(audio)
    assert segmented is not None
    words = transcriber.transcribe(audio, speech=segmented.speech)
    assert len(words) > 2
    assert words == transcriber.transcribe(audio)
    assert diarizer.diarize(audio, segmented=segmented) == diarizer.diarize(audio)
    assert diarizer.segment(audio[:100]) is None


def test_a_pipeline_without_a_network_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_segmentation(tmp_path, "cpu")
    (tmp_path / "config.yaml").write_text("pipeline: {params: {segmentation: a/model}}\n")
    with pytest.raises(InputError, match="no segmentation network that can be read by itself"):
        open_segmentation(tmp_path, "cpu")
