"""Alignment against what people use today: whisperx's own `assign_word_speakers`."""

import time

import numpy as np
import pandas as pd
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from components.align import Method, align
from components.conversation import AsrSegment, SpeakerSegment, Word


def conversation(words: int, segments: int) -> tuple[list[AsrSegment], list[SpeakerSegment]]:
    """A long meeting of eight: two and a half words and one speaker segment a second."""
    rng = np.random.default_rng(0)
    hours = words / 2.5
    starts = np.sort(rng.uniform(0, hours, words)).tolist()
    spoken = [Word("word", t, t + 0.3, 0.9) for t in starts]
    asr = [
        AsrSegment(part[0].start or 0, max(w.end or 0 for w in part), "", tuple(part))
        for part in (spoken[i : i + 10] for i in range(0, words, 10))
    ]
    edges = np.sort(rng.uniform(0, hours, segments)).tolist()
    return asr, [SpeakerSegment(t, t + 1.5, f"S{i % 8}") for i, t in enumerate(edges)]


METHODS: tuple[Method, ...] = ("overlap", "evidence")


@pytest.mark.parametrize("method", METHODS)
def test_align_100_000_words(benchmark: BenchmarkFixture, method: Method) -> None:
    """100,000 words, 40,000 segments, 8 speakers: all four rules against whisperx's one."""
    from whisperx.diarize import assign_word_speakers

    asr, speakers = conversation(100_000, 40_000)
    frame = pd.DataFrame([(s.start, s.end, s.speaker) for s in speakers],
                         columns=["start", "end", "speaker"])  # fmt: skip
    result = {
        "segments": [
            {
                "start": s.start,
                "end": s.end,
                "text": "",
                "words": [{"word": w.text, "start": w.start, "end": w.end} for w in s.words],
            }
            for s in asr
        ]
    }
    began = time.perf_counter()
    assign_word_speakers(frame, result)
    theirs = time.perf_counter() - began
    how = {"session_id": "meeting", "method": method}
    turns = benchmark.pedantic(align, (asr, speakers), how, rounds=5)
    ours = benchmark.stats.stats.median
    print(f"\nalign by {method}: {ours:.2f} s, whisperx: {theirs:.2f} s, ratio {theirs / ours:.1f}")
    assert sum(len(turn.words.split()) for turn in turns) == 100_000


@pytest.mark.parametrize("method", METHODS)
def test_align_grows_with_words_plus_segments(benchmark: BenchmarkFixture, method: Method) -> None:
    """Eight times the words and segments: a linear cost takes about eight times as long."""

    how = {"session_id": "meeting", "method": method}

    def seconds(size: int) -> float:
        asr, speakers = conversation(size, size // 2)
        began = time.perf_counter()
        align(asr, speakers, **how)
        return time.perf_counter() - began

    small = min(seconds(20_000) for _ in range(3))
    asr, speakers = conversation(160_000, 80_000)
    benchmark.pedantic(align, (asr, speakers), how, rounds=3)
    print(f"\n8 times the size: {benchmark.stats.stats.min / small:.1f} times as long")
