"""Files that hold more than one recording, and how files end: cut, with tags, with padding."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError
from components.conversation import SAMPLE_RATE, listen, measure, read_audio
from components.conversation.audio import plain_wav
from components.conversation.audio_length import is_longer_than
from components.conversation.audio_parts import MAX_PARTS, find_parts
from tests.sounds import CODECS, beep_times, beeps, heard, packed, unpacked, written

SOUND = beeps(3)
WAV = unpacked(SOUND)
UNPACKED = ("WAV", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC", "VOC")


def of(form: str) -> bytes:
    """Three seconds, as a file."""
    return unpacked(SOUND, form) if form in UNPACKED else packed(form, [SOUND])


@pytest.mark.parametrize("form", [*UNPACKED, *CODECS])
def test_all_of_joined_recordings_is_heard_in_order(tmp_path: Path, form: str) -> None:
    content = of(form) * 3
    times, notes = heard(content)
    assert (times, notes) == ([0, 1, 2, 3, 4, 5, 6, 7, 8], "")
    path = written(tmp_path, "a", content)
    whole = read_audio(path)
    assert measure(path).seconds == pytest.approx(len(whole) / SAMPLE_RATE, abs=1e-4)
    part = read_audio(path, 4.0, 6.5)
    assert len(part) == pytest.approx(2.5 * SAMPLE_RATE, abs=2)
    last = len(part) - 100  # the resampler needs what follows
    np.testing.assert_allclose(part[:last], whole[4 * SAMPLE_RATE :][:last], atol=0.02)
    assert not is_longer_than(path, 9.3)
    assert is_longer_than(path, 8.5) or form in ("mpg", "ts")  # whose clock begins anew


def test_each_with_its_own_rate_channels_and_damage() -> None:
    flac, stereo = unpacked(SOUND, "FLAC"), np.column_stack([SOUND, SOUND])
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:  # an odd number of bytes, which is not filled up
        sound.setparams((1, 1, 8_000, 0, "NONE", ""))
        sound.writeframes((SOUND[: 2 * 23_999 : 2] * 127 + 128).astype(np.uint8).tobytes())
    assert heard(file.getvalue() * 2 + unpacked(stereo) + WAV) == (list(range(12)), "")
    times, notes = heard(flac + flac[: len(flac) // 2] + flac)
    assert times[:4] == [0, 1, 2, 3]
    assert notes.startswith("in part 2 is cut: its header announces 3.00 s")
    assert heard(WAV + WAV[:44])[1] == "in part 2 holds no sound that can be decoded"
    assert not is_longer_than(io.BytesIO(WAV + WAV[:44]), 4)


def test_wavs_of_a_pipe_do_not_know_where_they_end() -> None:
    piped = WAV[:4] + b"\xff" * 4 + WAV[8:40] + b"\xff" * 4 + WAV[44:]
    assert heard(piped * 2) == ([0, 1, 2, 3, 4, 5], "")


def test_sound_in_several_chunks() -> None:
    aiff, note = unpacked(SOUND, "AIFF"), b"LIST\4\0\0\0INFO"
    more = WAV[36:]
    for content in (WAV + more, WAV + note + more + note, aiff + aiff[aiff.index(b"SSND") :]):
        assert heard(content) == ([0, 1, 2, 3, 4, 5], "")
    assert heard(WAV + note + more + WAV)[0] == list(range(9))
    assert plain_wav(io.BytesIO(WAV + more)) is None
    assert plain_wav(io.BytesIO(WAV * 2)) is None


def test_what_joins_thousands_is_refused() -> None:
    with pytest.raises(InputError, match="more than 1,000 recordings; split it"):
        listen(io.BytesIO(unpacked(SOUND[:100]) * (MAX_PARTS + 1)))


def apev2(*items: tuple[bytes, bytes]) -> bytes:
    """A tag as foobar2000 writes it, with a header."""
    body = b"".join(
        len(value).to_bytes(4, "little") + bytes(4) + key + b"\0" + value for key, value in items
    )

    def end(flags: int) -> bytes:
        numbers = (2_000, len(body) + 32, len(items), flags)
        return b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in numbers) + bytes(8)

    return end(0xA000_0000) + body + end(0x8000_0000)


ID3V1 = b"TAG" + b"a title".ljust(125, b"\0")
PICTURE = apev2((b"Cover", np.random.default_rng(3).bytes(40_000)), (b"Title", b"a"))
LYRICS = b"LYRICSBEGININD0000200ETT00001a000030LYRICS200"
TAGS = {
    "none": b"",
    "ID3v1": ID3V1,
    "APEv2": PICTURE,
    "both": PICTURE + ID3V1,
    "Lyrics3": LYRICS + ID3V1,
    "zeros": bytes(5_000),
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("count", ["0", "1"])
def test_tags_and_padding_are_no_sound(count: str, tag: str) -> None:
    content = packed("mp3", [SOUND], options={"write_xing": count}) + TAGS[tag]
    assert heard(content) == ([0, 1, 2], "")
    assert heard(content * 2 if count == "1" else content)[1] == ""
    if tag != "zeros":
        assert heard(packed("aac", [SOUND]) + TAGS[tag]) == ([0, 1, 2], "")


def test_a_tag_that_holds_a_tag_is_one_part() -> None:
    inner = b"ID3\4\0\0\0\0\0\x14TSSE" + bytes(16)
    outer = b"ID3\4\0\0\0\0\0" + bytes([len(inner) + 10]) + b"GEOB" + bytes(6) + inner
    content = outer + packed("mp3", [SOUND], options={"id3v2_version": "0"})
    assert len(find_parts(io.BytesIO(content))) == 1
    assert heard(content) == ([0, 1, 2], "")


@pytest.mark.parametrize("lost", [1, 10, 50, 100, 189, 300, 1_000])
@pytest.mark.parametrize("form", ["mp3", "ts", "mp2"])
def test_a_last_packet_that_is_not_whole_is_told(form: str, lost: int) -> None:
    options = {"write_xing": "0"} if form == "mp3" else {}
    content = packed(form, [SOUND], options=options)
    assert "is cut: it ends inside a packet" in heard(content[:-lost])[1]


def test_a_stream_that_ends_inside_its_own_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CODECS, "ts", ("mpegts", "aac", 48_000))
    content = packed("ts", [SOUND])
    assert heard(content) == ([0, 1, 2], "")
    for lost in (1, 100, 189, 20_000):
        assert "is cut" in heard(content[:-lost])[1]


def test_voc_is_read_block_by_block() -> None:
    """FFmpeg writes many blocks; libsndfile takes their headers for sound."""
    samples = listen(io.BytesIO(packed("voc", [SOUND]))).samples
    assert beep_times(samples) == [0, 1, 2]
    np.testing.assert_allclose(samples, SOUND, atol=1e-3)
