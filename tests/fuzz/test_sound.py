"""Whatever bytes a sound file holds: heard or refused, the same from a path and from an upload."""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import strategies as st

from components.base import InputError
from components.conversation import SAMPLE_RATE, audio_duration, read_audio
from components.conversation.audio_length import is_longer_than
from tests.sounds import CODECS, packed, unpacked

FORMATS = ("wav", "flac", "ogg", "opus", "mp3", "m4a", "webm", "aac", "ts", "avi")
TONE = np.sin(2 * np.pi * 440 * np.arange(8_000) / SAMPLE_RATE).astype(np.float32) / 3
"""Half a second."""

LIMIT = 4 * 3_600.0
"""Seconds; what the service takes."""


@pytest.fixture(scope="module")
def sounds() -> dict[str, bytes]:
    """A small file of each format."""
    made = {suffix: packed(suffix, [TONE]) for suffix in FORMATS if suffix in CODECS}
    return made | {"wav": unpacked(TONE), "ogg": unpacked(TONE, "OGG", "VORBIS")}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "drop", "insert", "zero", "double", "ones"]),
        st.floats(0, 1),
        st.integers(1, 64),
    ),
    min_size=1,
    max_size=6,
)


def changed(content: bytes, changes: list[tuple[str, float, int]]) -> bytes:
    """The file with some damage; half of it in the first bytes, where headers are."""
    data = bytearray(content)
    for kind, place, length in changes:
        at = int(place * 2 * min(len(data), 128)) if place < 0.5 else int(place * len(data))
        if kind == "flip":
            for i in range(at, min(at + length, len(data))):
                data[i] ^= 0x55
        elif kind == "cut":
            del data[max(at, 1) :]
        elif kind == "drop":
            del data[at : at + length]
        elif kind == "insert":
            data[at:at] = bytes(range(length))
        elif kind == "double":
            data += data[at:]
        else:
            fill = b"\xff" if kind == "ones" else b"\0"
            data[at : at + length] = fill * len(data[at : at + length])
    return bytes(data)


def heard(source: Path | io.BufferedIOBase) -> tuple[np.ndarray, float] | None:
    """The samples and the duration; None where the file is refused, in one line."""
    try:
        samples, seconds = read_audio(source), audio_duration(source)
    except InputError as refusal:
        assert "\n" not in str(refusal)
        return None
    assert samples.dtype == np.float32 and np.isfinite(samples).all()
    assert seconds == pytest.approx(len(samples) / SAMPLE_RATE, abs=0.001)
    assert not is_longer_than(source, LIMIT)  # though damaged packets may claim some more
    return samples, seconds


@pytest.mark.parametrize("suffix", FORMATS)
def test_both_ways_hear_alike(
    fuzz: Callable[..., None], sounds: dict[str, bytes], tmp_path: Path, suffix: str
) -> None:
    process, path = psutil.Process(), tmp_path / f"sound.{suffix}"

    def check(changes: list[tuple[str, float, int]]) -> None:
        content = changed(sounds[suffix], changes)
        path.unlink(missing_ok=True)  # another file, though as long and of the same instant
        path.write_bytes(content)
        with tempfile.SpooledTemporaryFile(1 << 20) as upload:
            upload.write(content)
            upload.seek(0)
            one, other = heard(path), heard(upload)
        assert (one is None) == (other is None)
        if one and other:
            assert np.array_equal(one[0], other[0])

    check([])
    before = process.memory_info().rss
    fuzz(check, 25, CHANGES)
    assert process.memory_info().rss - before < 60 << 20


def test_a_whole_file_is_heard_whole(sounds: dict[str, bytes], tmp_path: Path) -> None:
    for suffix, content in sounds.items():
        path = tmp_path / f"whole.{suffix}"
        path.write_bytes(content)
        result = heard(path)
        assert result and result[1] == pytest.approx(0.5, abs=0.08), suffix
