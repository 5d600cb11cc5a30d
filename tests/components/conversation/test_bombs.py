"""Hours of silence in a few bytes: refused by their packets, long before they are decoded."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.conversation import SAMPLE_RATE
from components.conversation.audio_length import is_longer_than, seconds_up_to
from tests.sounds import packed

MINUTES = 10


def bomb(suffix: str) -> bytes:
    """Ten minutes of silence."""
    minute = np.zeros(60 * SAMPLE_RATE, np.float32)
    if suffix in ("mp3", "aac"):  # frames alone, which may be joined
        bare = {"id3v2_version": "0", "write_xing": "0"} if suffix == "mp3" else {}
        return packed(suffix, [minute], options=bare) * MINUTES
    return packed(suffix, [np.tile(minute, MINUTES)])


@pytest.mark.parametrize("suffix", ["mp3", "aac", "opus", "m4a", "flac", "amr"])
def test_a_bomb_costs_a_tenth_of_a_second(suffix: str) -> None:
    file = io.BytesIO(bomb(suffix))
    costs = []
    for _ in range(5):
        began = time.process_time()
        assert is_longer_than(file, (MINUTES - 1) * 60)
        costs.append(time.process_time() - began)
    assert min(costs) < 0.1
    assert not is_longer_than(file, MINUTES * 60 + 5)


def test_days_of_silence_in_a_megabyte(tmp_path: Path) -> None:
    path = tmp_path / "bomb.flac"
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        for _ in range(40):
            file.write(np.zeros(60 * SAMPLE_RATE, np.int16))
    assert path.stat().st_size < 200_000
    assert is_longer_than(path, 1_800)
    assert seconds_up_to(path, 60) < 70
