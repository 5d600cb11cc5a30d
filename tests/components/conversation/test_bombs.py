"""Hours of silence in a few bytes: refused by their packets, long before they are decoded."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.base import InputError
from components.conversation import SAMPLE_RATE, read_audio
from components.conversation.audio_boxes import MAX_BOXES, boxes
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


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def many(kind: bytes) -> bytes:
    return box(kind) * (MAX_BOXES + 1)


@pytest.mark.parametrize(
    "film",
    [
        lambda: box(b"ftyp", b"M4A ") + box(b"moov", many(b"moov")),
        lambda: box(b"ftyp", b"M4A ") + box(b"moov", box(b"udta", many(b"free"))),
        lambda: box(b"ftyp", b"M4A ") + many(b"free"),
        lambda: box(b"wide") + many(b"moof"),
    ],
    ids=["nested", "deep", "flat", "quicktime"],
)
def test_a_film_of_boxes_alone_is_refused_before_ffmpeg_opens_it(
    film: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg reads every box."""
    monkeypatch.setattr("av.open", lambda *_, **__: pytest.fail("FFmpeg opened it"))
    file = io.BytesIO(film())
    for ask in (read_audio, lambda sound: is_longer_than(sound, 60)):
        with pytest.raises(InputError, match=r"made of more than 500,000 boxes; save it anew"):
            ask(file)


@pytest.mark.parametrize("flags", [{}, {"movflags": "frag_keyframe+empty_moov+default_base_moof"}])
def test_a_real_film_has_few(flags: dict[str, str]) -> None:
    minute = np.zeros(60 * SAMPLE_RATE, np.float32)
    content = packed("m4a", [minute], options=flags)
    kinds = [b.kind for b in boxes(io.BytesIO(content), len(content))]
    assert {b"ftyp", b"moov", b"trak", b"stbl"} <= {*kinds}
    assert len(kinds) < 60 * 10
