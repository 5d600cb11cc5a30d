"""`make test-full-size`: the paper's models in their full size, one recording from end to end.

The weights are random, so what is said, by whom and how, means nothing. What is tested is that the
published configurations are loaded by the libraries that the `paper` profile names, fit together,
and fit into memory: WhisperX with large-v2, its CTC aligner, pyannote 3.1 and community-1, the
fusion model over wav2vec2-base and roberta-base.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from components.align import align
from components.config import Settings, TranscribeSettings, load_profile
from components.conversation import AsrSegment, Recording, read_audio
from components.diarize import Diarizer
from components.evaluate import predict_turns
from components.fusion import Classifier
from components.transcribe import Transcriber
from tests.full_size.models import MODELS

T = TypeVar("T")

SECONDS = 10


@pytest.fixture(scope="module")
def models(models_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All models, each built in a process of its own."""
    home = tmp_path_factory.mktemp("models")
    tokenizer = models_home / "whisper-base"
    for name in MODELS:
        command = [sys.executable, "-W", "ignore", "-m", "tests.full_size.models"]
        run = partial(subprocess.run, [*command, name, str(home), str(tokenizer)], check=True)
        timed(f"build {name}", run)
    return home


@pytest.fixture(scope="module")
def audio(sample_dir: Path) -> np.ndarray:
    """Ten seconds of a real telephone call."""
    return read_audio(sample_dir / "sample.wav", 5, 5 + SECONDS)


@pytest.fixture(scope="module")
def transcriber(models: Path) -> Iterator[Transcriber]:
    """The paper's recogniser and aligner; in int8, since a processor has no float16."""
    options = load_profile("paper").transcribe.model_copy(
        update={
            "model": "whisper-large-v2",
            "align_model": "wav2vec2-large-english",
            "compute_type": "int8",
        }
    )
    assert isinstance(options, TranscribeSettings)
    yield timed("load Whisper and aligner", lambda: Transcriber(options, Settings(models=models)))


@pytest.fixture(scope="module")
def segments(transcriber: Transcriber, audio: np.ndarray) -> list[AsrSegment]:
    """What it makes of the recording."""
    return timed("transcribe", lambda: transcriber.transcribe(audio))


def timed(what: str, work: Callable[[], T]) -> T:
    """Do it, and print how long it took and the most memory so far."""
    start = time.monotonic()
    result = work()
    own, children = (
        resource.getrusage(who).ru_maxrss / 2**20
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    took = time.monotonic() - start
    print(f"\n{what}: {took:.0f} s; peak {own:.1f} GiB, children {children:.1f} GiB", flush=True)
    return result


def test_whisper_is_as_large_as_it_is(models: Path) -> None:
    size = (models / "whisper-large-v2" / "model.bin").stat().st_size
    assert size == pytest.approx(1.54e9, rel=0.05)  # a parameter is a byte, in int8


def test_words_are_placed_by_ctc(segments: list[AsrSegment]) -> None:
    words = [word for segment in segments for word in segment.words]
    assert words
    placed = [word for word in words if word.start is not None]
    assert placed
    assert all(0 <= word.start <= word.end <= SECONDS + 0.5 for word in placed)


@pytest.mark.parametrize("name", ["speaker-diarization-3.1", "speaker-diarization-community-1"])
def test_turns_with_emotions(
    name: str, models: Path, segments: list[AsrSegment], audio: np.ndarray, sample_dir: Path
) -> None:
    options = load_profile("paper").diarize.model_copy(update={"pipeline": name})
    diarizer = Diarizer(options, Settings(models=models))
    spoken = timed(f"diarize by {name}", lambda: diarizer.diarize(audio, 2))
    assert 1 <= len({segment.speaker for segment in spoken.segments}) <= 2
    turns = align(segments, spoken.exclusive, session_id="sample")
    words = [word.text for segment in segments for word in segment.words]
    assert sorted(" ".join(turn.words for turn in turns).split()) == sorted(" ".join(words).split())
    recording = Recording("sample", sample_dir / "sample.wav", "one", None, ())
    classify = Classifier(models / "fusion")
    answered = timed(
        "name emotions", lambda: predict_turns(classify, [recording], {"sample": turns})
    )
    assert len(answered) == len(turns) > 0
    for turn in answered:
        assert turn.probabilities is not None
        assert sum(turn.probabilities.values()) == pytest.approx(1, abs=1e-4)
