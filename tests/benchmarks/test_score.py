"""`moodline score` on a day of talk, as a command; beside pyannote.metrics on a part of it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from pyannote.core import Annotation, Segment
from pyannote.metrics.identification import IdentificationErrorRate
from pytest_benchmark.fixture import BenchmarkFixture

from components.conversation import DEFAULT_LABELS, Turn, write_turns
from components.scoring import find_convention, score, teer

MOODLINE = Path(sys.executable).with_name("moodline")


def day(turns: int) -> tuple[list[Turn], list[Turn]]:
    """A reference of two speakers, a turn each 1.8 s, overlapping at times, and a hypothesis."""
    random = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(3000)])
    reference, hypothesis = [], []
    for number in range(turns):
        start, length = number * 1.8, random.uniform(0.9, 2.3)
        text = " ".join(words[random.zipf(1.3, random.integers(3, 10)) % 3000])
        speaker, emotion = random.integers(2), str(random.choice([*DEFAULT_LABELS, "other"]))
        reference.append(Turn("day", start, start + length, f"S{speaker}", text, emotion))
        start = max(0.0, start + random.normal(0, 0.2))
        speaker ^= random.random() < 0.1
        emotion = str(random.choice([emotion, *DEFAULT_LABELS]))
        heard = text.split(maxsplit=1)[-1]
        hypothesis.append(Turn("day", start, start + length, f"{speaker}", heard, emotion))
    return reference, hypothesis


def test_score_ten_hours_with_20_000_turns(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """The whole command: start, read, score, print."""
    reference, hypothesis = day(20_000)
    write_turns(tmp_path / "reference.json", reference)
    write_turns(tmp_path / "hypothesis.json", hypothesis)
    command = [
        MOODLINE,
        "score",
        tmp_path / "reference.json",
        tmp_path / "hypothesis.json",
        "--json",
    ]

    def run() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    printed = benchmark.pedantic(run, rounds=3)
    hours = max(turn.end for turn in reference) / 3600
    print(f"\nmoodline score, {hours:.1f} h, 20,000 turns: {benchmark.stats.stats.median:.1f} s")
    assert 0 < json.loads(printed)["teer"]["rate"] < 1


def test_teer_beside_pyannote_metrics(benchmark: BenchmarkFixture) -> None:
    """The same number from the same turns; theirs grows with the square of the length."""
    reference, hypothesis = day(1_000)

    def annotation(turns: list[Turn]) -> Annotation:
        found = Annotation()
        for number, turn in enumerate(turns):
            found[Segment(turn.start, turn.end), number] = turn.emotion
        return found

    rules = find_convention("collar0")
    scored = [turn for turn in reference if turn.emotion in DEFAULT_LABELS]
    began = time.perf_counter()
    theirs = IdentificationErrorRate()(annotation(scored), annotation(hypothesis))
    seconds = time.perf_counter() - began
    ours = benchmark(teer, scored, hypothesis, rules)
    ratio = seconds / benchmark.stats.stats.median
    print(f"\nTEER of 1,000 turns: {ratio:.0f} times as fast as pyannote.metrics ({seconds:.1f} s)")
    assert abs(ours.rate - theirs) < 1e-6
    assert score(scored, hypothesis, "collar0").teer == ours
