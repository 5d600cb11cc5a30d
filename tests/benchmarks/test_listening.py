"""How quickly a recording is heard: against whisperX's own code path, against one stage after the
other, and many recordings at a time against one by one.

`MOODLINE_BENCH_SECONDS` shortens the recording (863 s). Each comparison runs in turns in one
process, models loaded; a busy machine slows both sides, so processor seconds are printed, too.
"""

import math
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import jiwer
import numpy as np
import pytest
import soundfile
from pytest_benchmark.fixture import BenchmarkFixture

from components.base import cores, one_core, watched
from components.config import Settings, TurnsStep, load_profile
from components.conversation import SAMPLE_RATE, Recording, read_words
from components.diarize import diarize_corpus
from components.transcribe import transcribe_corpus
from serving.engine.analysis import Analysis
from serving.engine.analyze import Analyzer
from serving.engine.options import Options
from tests.benchmarks.joined import DEMO, WhisperX, joined

SECONDS = float(os.environ.get("MOODLINE_BENCH_SECONDS", "inf"))
MODELS = os.environ.get("MOODLINE_BENCH_WHISPER", "whisper-tiny.en,whisper-base").split(",")
RECORDINGS, LENGTH = int(os.environ.get("MOODLINE_BENCH_RECORDINGS", "40")), 40

T = TypeVar("T")

pytestmark = [pytest.mark.models, pytest.mark.timeout(7_200)]


def taken(work: Callable[[], T]) -> tuple[T, float, float]:
    """The result, and seconds by the clock and of the processor."""
    began, used = time.perf_counter(), time.process_time()
    return work(), time.perf_counter() - began, time.process_time() - used


def shown(what: str, clock: float, processor: float) -> None:
    load = os.getloadavg()[0]
    print(f"{what}: {clock:.1f} s, {processor:.1f} processor seconds (load {load:.1f})")


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    return joined(SECONDS)


@pytest.fixture(scope="module")
def truth(recording: np.ndarray) -> str:
    """What is said in it."""
    words = [
        word.text
        for path in sorted(DEMO.rglob("*.ogg"))
        for segment in read_words(DEMO / "truth" / f"{path.stem}.json")
        for word in segment.words
    ]
    return plain(" ".join(words))


@pytest.mark.parametrize("model", MODELS)
def test_one_recording(
    benchmark: BenchmarkFixture, recording: np.ndarray, truth: str, model: str
) -> None:
    """Moodline with word times and its second looks at the voices; whisperX has neither."""
    profile, settings = load_profile("demo", [f"transcribe.model={model}"]), Settings()
    analyzer = Analyzer(TurnsStep.of(profile), settings)
    analyzer.load()
    whisperx = WhisperX(profile.transcribe, profile.diarize, settings, cores())

    def ours(alone: AbstractContextManager[None]) -> Analysis:
        with alone:
            return analyzer.find_turns(recording, Options("joined", words=True))

    with watched() as stages:
        analysis, *mine = benchmark.pedantic(
            taken, (lambda: ours(nullcontext()),), rounds=1, warmup_rounds=0
        )
    (text, speakers), *theirs = taken(lambda: whisperx(recording))
    print(f"\n{len(recording) / SAMPLE_RATE:.0f} s of sound, {model}, {cores()} cores")
    shown("moodline, with word times", *mine)
    for name, spent in stages.spent.items():
        print(f"  {name:15s} {spent.seconds:6.1f} s {spent.processor:6.1f} processor seconds")
    shown("whisperX, without", *theirs)
    print(f"ratio: {theirs[0] / mine[0]:.2f}, in processor time {theirs[1] / mine[1]:.2f}")
    said = plain(" ".join(turn.words for turn in analysis.turns))
    found = len({segment.speaker for segment in analysis.speakers})
    print(f"speakers found: {found}, {speakers}")
    if math.isinf(SECONDS):
        print(f"words wrong: {jiwer.wer(truth, said):.2%}, {jiwer.wer(truth, plain(text)):.2%}")
        assert jiwer.wer(truth, said) <= jiwer.wer(truth, plain(text)) + 0.01
    assert len(said.split()) > 2 * len(recording) / SAMPLE_RATE

    after, *one_by_one = taken(lambda: ours(one_core()))
    shown("moodline, one stage after the other, on one core", *one_by_one)
    assert after.turns == analysis.turns
    assert after.words == analysis.words


def test_many_recordings(
    benchmark: BenchmarkFixture, recording: np.ndarray, tmp_path: Path
) -> None:
    """Words and speakers of many short recordings, as `batch` and a retraining find them."""
    profile = load_profile("demo", ["transcribe.model=whisper-tiny.en"])
    samples, recordings = LENGTH * SAMPLE_RATE, list[Recording]()
    for number in range(RECORDINGS):
        first = number * samples // 2 % max(len(recording) - samples, 1)
        path = tmp_path / f"{number:03d}.wav"
        soundfile.write(path, recording[first : first + samples], SAMPLE_RATE)
        recordings.append(Recording(path.stem, path, "fold", None, ()))

    settings = Settings(home=tmp_path / "home", models=Settings().models)

    def work(way: str, some: list[Recording]) -> None:
        transcribe_corpus(some, tmp_path / f"{way}-words", profile, settings)
        diarize_corpus(some, tmp_path / f"{way}-speakers", profile, settings)
        shutil.rmtree(settings.cache)  # or it would not be done again

    work("first", recordings[:2])  # loads the models, which stay
    _, *both = benchmark.pedantic(taken, (lambda: work("all", recordings),), rounds=1)
    with one_core():
        _, *single = taken(lambda: work("single", recordings))
    print(f"\n{RECORDINGS} recordings of {LENGTH} s, {cores()} cores")
    shown("so many at a time as there are cores", *both)
    shown("one after the other", *single)
    print(f"cores busy: {both[1] / both[0]:.2f} of {cores()}; ratio {single[0] / both[0]:.2f}")
    for kind in ("words", "speakers"):
        one, other = (tmp_path / f"{way}-{kind}" for way in ("all", "single"))
        assert one.read_bytes() == other.read_bytes()
