"""Hours of silence in a few bytes: refused by their packets, long before they are decoded."""

import io
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.base import InputError
from components.conversation import SAMPLE_RATE, listen
from components.conversation.audio import plain_wav
from components.conversation.audio_length import is_longer_than, seconds_up_to
from components.conversation.audio_parts import find_parts
from tests.sounds import beeps, packed, unpacked

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


def test_many_chunks_of_sound_behind_a_long_header_take_little_memory() -> None:
    wav, note = unpacked(beeps(1)), b"LIST" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20)
    file = io.BytesIO(wav[:12] + note + wav[12:] + b"data\2\0\0\0\0\0" * 300)
    tracemalloc.start()
    try:
        assert len(find_parts(file)) == 301
        assert plain_wav(file) is None
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert len(listen(file).samples) == SAMPLE_RATE + 300


@pytest.mark.parametrize("more", [b"note\0\0\0\0", b"data\2\0\0\0\0\0", unpacked(beeps(0.01))])
def test_the_quick_way_leaves_what_is_odd_to_the_thread(more: bytes) -> None:
    file = io.BytesIO(unpacked(beeps(1)) + more * (1_000_000 // len(more)))
    began = time.process_time()
    assert plain_wav(file) is None
    assert time.process_time() - began < 0.01


def test_millions_of_boxes_and_tags_are_refused_at_once() -> None:
    boxes = packed("m4a", [beeps(1)]) + b"\0\0\0\x08free" * 2_500_000
    mp3 = packed("mp3", [beeps(1)], options={"id3v2_version": "0", "write_xing": "0"})
    tags, no_tags = (mp3 + b"ID3\4\0\0\0\0\0\0" * 1_000_000, mp3 + b"ID3\4\0\0\0\0\0\1" * 1_000_000)
    for content, what in ((boxes, "boxes"), (tags, "tags"), (no_tags, "tags")):
        began = time.process_time()
        with pytest.raises(InputError, match=f"more than 100,000 {what}; export it again"):
            is_longer_than(io.BytesIO(content), 60)
        assert time.process_time() - began < 1
