"""Ogg Vorbis files that are the same for the same sound."""

from pathlib import Path

import numpy as np

from components.conversation import SAMPLE_RATE

_POLYNOMIAL = 0x04C11DB7
_COMPRESSION = 0.55  # libsndfile's scale: 0 keeps most, 1 least


def write_ogg(path: Path, sound: np.ndarray) -> None:
    """Write mono float sound at 16 kHz.

    libsndfile draws each stream's serial number by the clock; here it is 1 in every file.
    """
    import soundfile

    soundfile.write(
        path, sound, SAMPLE_RATE, format="OGG", subtype="VORBIS", compression_level=_COMPRESSION
    )
    path.write_bytes(_with_serial(path.read_bytes(), 1))


def _with_serial(stream: bytes, serial: int) -> bytes:
    """The pages of an Ogg stream with another serial number and their checksums made anew."""
    table = _crc_table()
    data, offset = bytearray(stream), 0
    while offset < len(data):
        # Page header: 14 serial, 22 checksum, 26 number of segments, 27 their lengths.
        segments = data[offset + 26]
        end = offset + 27 + segments + sum(data[offset + 27 : offset + 27 + segments])
        data[offset + 14 : offset + 18] = serial.to_bytes(4, "little")
        data[offset + 22 : offset + 26] = bytes(4)
        crc = 0
        for byte in data[offset:end]:
            crc = (crc << 8) & 0xFFFFFFFF ^ table[crc >> 24 ^ byte]
        data[offset + 22 : offset + 26] = crc.to_bytes(4, "little")
        offset = end
    return bytes(data)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = crc << 1 & 0xFFFFFFFF ^ (_POLYNOMIAL if crc >> 31 else 0)
        table.append(crc)
    return table
