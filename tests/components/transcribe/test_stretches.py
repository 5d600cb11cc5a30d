"""Given stretches take the place of the voice activity detector, in whisperx's own pipeline."""

from pathlib import Path

import numpy as np
import pytest

from components.conversation import SAMPLE_RATE, read_audio, read_words
from components.transcribe import Transcriber
from components.transcribe.stretches import cut_stretches
from components.transcribe.word_times import REACH


def test_what_is_long_is_cut_and_what_says_nothing_is_left_out() -> None:
    given = [(70.0, 75.0), (10.0, 60.0), (5.0, 5.05), (62.0, 72.0), (74.0, 90.0), (80.0, 85.0)]
    assert list(cut_stretches(given, 80.0)) == [
        (10.0, 35.0),
        (35.0, 60.0),
        (62.0, 72.0),
        (70.0, 75.0),
        (74.0, 80.0),
    ]
    assert list(cut_stretches([(0.0, 90.0)], 90.0)) == [(0.0, 30.0), (30.0, 60.0), (60.0, 90.0)]


@pytest.mark.models
def test_each_stretch_is_read_by_itself_and_nothing_else_is(
    transcriber: Transcriber, demo_corpus: Path
) -> None:
    truth = read_words(demo_corpus / "truth" / "Ses01F_impro01.json")
    (file,) = demo_corpus.rglob("Ses01F_impro01.ogg")
    audio = read_audio(file, 0, truth[2].end)
    before = transcriber.transcribe(audio)
    inside = (truth[1].start + 0.5, truth[1].end)  # "I just" is before it
    given = [(truth[0].start, truth[0].end), (truth[1].start, truth[1].end), inside]
    transcript = transcriber.transcribe(audio, given)
    assert [len(segment.words) for segment in transcript] == [8, 9, 7]
    for segment, (start, end) in zip(transcript, given, strict=True):
        assert start - REACH - 0.01 <= segment.start
        assert segment.end <= end + REACH + 0.01
    # neighbours that overlap do not cut each other short
    firsts = [(segment.words[0].text, segment.words[0].start) for segment in transcript]
    assert firsts == [
        ("What", pytest.approx(truth[0].start, abs=0.2)),
        ("I", pytest.approx(truth[1].start, abs=0.2)),
        ("feel", pytest.approx(inside[0], abs=0.2)),
    ]
    assert transcriber.transcribe(audio) == before


@pytest.mark.models
def test_no_stretch_and_one_beyond_the_end(transcriber: Transcriber) -> None:
    audio = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    assert transcriber.transcribe(audio, []) == []
    assert transcriber.transcribe(audio, [(3.0, 4.0)]) == []
