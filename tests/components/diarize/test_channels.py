"""Who speaks when, where each speaker has a channel."""

import io
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError
from components.config import DiarizeStep, Settings, load_profile
from components.conversation import (
    SAMPLE_RATE,
    SPEAKERS,
    Recording,
    SpeakerSegment,
    parse_rttm,
    read_channels,
    read_documents,
)
from components.diarize import ChannelDiarizer, diarize_corpus
from tests.sides import Sides, sides

pytestmark = pytest.mark.models
CALL_CENTRE = load_profile("tiny", ["diarize.pipeline=channels"])


@pytest.fixture(scope="module")
def diarizer() -> ChannelDiarizer:
    return ChannelDiarizer(CALL_CENTRE.diarize)


@pytest.fixture(scope="module")
def talk(demo_corpus: Path) -> Sides:
    return sides(demo_corpus)


def seconds(segments: tuple[SpeakerSegment, ...], speaker: str, length: float) -> np.ndarray:
    """Whether the speaker speaks, for each hundredth of a second."""
    grid = np.zeros(round(length * 100), bool)
    for s in segments:
        if s.speaker == speaker:
            grid[round(s.start * 100) : round(s.end * 100)] = True
    return grid


def test_each_has_their_own_speech_what_they_say_at_once_too(
    diarizer: ChannelDiarizer, talk: Sides
) -> None:
    shares: list[float] = []
    found = diarizer.diarize(read_channels(io.BytesIO(talk.file())), step=shares.append)
    assert found.segments == found.exclusive == tuple(sorted(found.segments))
    assert shares == [0.5, 1.0]
    for speaker in ("CHANNEL_1", "CHANNEL_2"):
        truth, heard = (seconds(s, speaker, 9) for s in (talk.spoken, found.segments))
        assert (truth != heard).sum() < 0.15 * truth.sum()
    both = np.logical_and(*(seconds(found.segments, f"CHANNEL_{n}", 9) for n in (1, 2)))
    assert 50 <= both.sum() <= 120  # a second


def test_speech_goes_on_where_a_chunk_ends(
    diarizer: ChannelDiarizer, talk: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = diarizer.diarize(talk.sound).segments
    monkeypatch.setattr("components.diarize.channels.CHUNK", 2 * SAMPLE_RATE)
    assert any(s.start < 2 < s.end for s in whole)
    in_chunks = diarizer.diarize(talk.sound).segments
    assert [s.speaker for s in in_chunks] == [s.speaker for s in whole]
    for one, other in zip(in_chunks, whole, strict=True):
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.15)


def test_nobody_speaks_and_hardly_any_sound(diarizer: ChannelDiarizer) -> None:
    for samples in (0, 100, 3 * SAMPLE_RATE):
        found = diarizer.diarize(np.zeros((2, samples), np.float16))
        assert found.segments == ()


def test_a_corpus_by_channels(talk: Sides, tmp_path: Path) -> None:
    step, settings = DiarizeStep.of(CALL_CENTRE), Settings(home=tmp_path)
    made = []
    for name, content in (("call", talk.file()), ("mono", talk.file(talk.sound[:1]))):
        (tmp_path / f"{name}.wav").write_bytes(content)
        made.append(Recording(name, tmp_path / f"{name}.wav", "fold", None, ()))
    diarize_corpus(made[:1], tmp_path / "speakers", step, settings)
    ((_, rttm),) = read_documents(tmp_path / "speakers", SPEAKERS)
    assert {s.speaker for s in parse_rttm(rttm, "rttm")["call"]} == {"CHANNEL_1", "CHANNEL_2"}
    with pytest.raises(InputError, match=r"mono\.wav: has one channel"):
        diarize_corpus(made[1:], tmp_path / "others", step, settings)
