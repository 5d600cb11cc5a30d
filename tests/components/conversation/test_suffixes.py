"""Every suffix by which a folder's recordings are known is one of a file that can be read."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from components.base import Cache
from components.conversation import measure
from components.conversation.recordings import AUDIO_SUFFIXES
from components.corpus import read_recordings, recording_files
from tests.sounds import CODECS, beeps, packed, unpacked, written

SECONDS = 2
SOUND = beeps(SECONDS)

ALSO = {  # names of what `CODECS` makes
    "aac": ("adts",),
    "asf": ("wma", "wmv"),
    "mp3": ("mpga",),
    "mp4": ("3g2", "m4v"),
    "m4a": ("m4b",),
    "mpg": ("mpeg", "vob"),
    "opus": ("ogx",),
    "ts": ("m2ts", "mts"),
    "webm": ("weba",),
}
UNPACKED = {
    "WAV": ("wav", "wave", "bwf"),
    "AIFF": ("aif", "aifc", "aiff"),
    "AU": ("au", "snd"),
    "CAF": ("caf",),
    "NIST": ("sph",),
    "RF64": ("rf64",),
    "W64": ("w64",),
}


def amr_wb() -> bytes:
    """Frames of 6.6 kbit/s of nothing, 20 ms each (RFC 4867, section 5)."""
    return b"#!AMR-WB\n" + (b"\x04" + bytes(17)) * 50 * SECONDS


def speex() -> bytes:
    """Frames of 20 ms that hold nothing, in Ogg."""
    numbers = (1, 80, 16_000, 1, 4, 1, -1, 320, 0, 1, 0, 0, 0)
    head = b"Speex   " + b"1.2".ljust(20, b"\0") + np.array(numbers, "<i4").tobytes()
    count = 50 * SECONDS
    pages = (2, 0, [head]), (0, 0, [bytes(8)]), (4, 320 * count, [bytes(1)] * count)
    return b"".join(ogg_page(number, *page) for number, page in enumerate(pages))


def ogg_page(number: int, flags: int, place: int, packets: list[bytes]) -> bytes:
    """A page of packets under 255 bytes (RFC 3533)."""
    start = b"OggS\0" + bytes([flags]) + place.to_bytes(8, "little") + b"moodline"[:4]
    start += number.to_bytes(4, "little")
    rest = bytes([len(packets), *map(len, packets)]) + b"".join(packets)
    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    mirrored = zlib.crc32((start + bytes(4) + rest).translate(turned), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return start + int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "little") + rest


def every_form() -> dict[str, bytes]:
    """A file of two seconds for each suffix."""
    made = {suffix: packed(suffix, [SOUND]) for suffix in CODECS}
    made |= {also: made[suffix] for suffix, names in ALSO.items() for also in names}
    made |= {name: unpacked(SOUND, form) for form, names in UNPACKED.items() for name in names}
    made |= {name: unpacked(SOUND, "OGG", "VORBIS") for name in ("ogg", "oga", "ogv")}
    return made | {"awb": amr_wb(), "spx": speex()}


def test_every_suffix_is_of_what_is_read_and_its_length_is_kept(tmp_path: Path) -> None:
    made = every_form()
    assert sorted(made) == sorted(AUDIO_SUFFIXES)
    for suffix, content in made.items():
        written(tmp_path, f"{suffix}.{suffix}", content)
    assert len(recording_files(tmp_path)[0]) == len(made)
    cache = Cache(tmp_path / "cache")
    recordings = read_recordings(tmp_path, cache)
    assert [r.name for r in recordings] == sorted(made)
    for recording in recordings:
        length = measure(recording.audio, cache)
        assert length.seconds == pytest.approx(SECONDS, abs=0.07), recording.name
        assert length.notes == (), recording.name
    unpacked_forms = {name for names in UNPACKED.values() for name in names}
    different = {made[suffix] for suffix in set(made) - unpacked_forms}
    assert len(list(cache.root.rglob("*.json"))) == len(different)
