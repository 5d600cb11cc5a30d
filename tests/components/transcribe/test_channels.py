"""Words of channels: each has its channel's speaker, and none is heard twice."""

import io
import re
from pathlib import Path

import jiwer
import pytest

from components.conversation import read_channels
from components.transcribe import Transcriber
from tests.sides import sides

pytestmark = pytest.mark.models


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def test_each_channel_s_words_what_is_said_at_once_too(
    transcriber: Transcriber, demo_corpus: Path
) -> None:
    talk, shares = sides(demo_corpus), list[float]()
    channels = read_channels(io.BytesIO(talk.file()))
    segments = transcriber.transcribe_channels(channels, language="en", step=shares.append)
    assert [s.start for s in segments] == sorted(s.start for s in segments)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    words = [word for segment in segments for word in segment.words]
    assert {word.speaker for word in words} == {"CHANNEL_1", "CHANNEL_2"}
    for number, said in enumerate(talk.words, start=1):
        own = plain(" ".join(w.text for w in words if w.speaker == f"CHANNEL_{number}"))
        assert jiwer.wer(plain(said), own) < 0.15
