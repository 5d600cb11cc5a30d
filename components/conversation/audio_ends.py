"""Whether a file was cut, where its end tells it and FFmpeg does not."""

import os
from typing import IO

EBML, SEGMENT = 0x1A45DFA3, 0x18538067
"""The two elements of a Matroska file: what it is, and everything else."""

TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Bytes of a packet of MPEG-TS, and where in it its first byte of 0x47 stands."""

SELF_FRAMED = ("mp3", "aac", "mpegts", "mpeg")
"""Formats in which the sound's own headers say how long a packet is, and nothing else does."""

LONGEST_FRAME = 1 << 16  # bytes

LONGEST_HEADER = 8  # bytes


def is_stream_cut(file: IO[bytes]) -> bool:
    """Whether an MPEG-TS file ends inside one of its packets, which all have one size."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(3 * 204)
    for size, first in TS_PACKETS:
        if head[first::size][:3] == b"\x47" * 3:
            return bool(length % size)
    return False


def is_frame_cut(codec: str, frame: bytes, first: bytes) -> bool:
    """Whether a packet begins as a frame of sound, and has fewer bytes than its header says.

    Args:
        codec: FFmpeg's name of it; one whose frames begin with such a header.
        frame: the packet.
        first: another packet of the track.
    """
    import av

    if len(frame) < LONGEST_HEADER:
        return frame[:1] == first[:1]

    def frames(content: bytes) -> list[av.Packet]:
        return av.CodecContext.create(codec, "r").parse(content)

    return not frames(frame) and bool(frames(frame + bytes(LONGEST_FRAME)))


def is_film_cut(file: IO[bytes]) -> bool:
    """Whether an AVI ends before its size, or a Matroska file (RFC 9559) before its segment does.

    A live recording does not say where that is.
    """
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"AVI ":
        return 8 + int.from_bytes(head[4:8], "little") > length
    position = 0
    for expected in (EBML, SEGMENT):
        file.seek(position)
        header = file.read(12)
        if int.from_bytes(header[:4], "big") != expected or len(header) < 12 or not header[4]:
            return False
        width = 9 - header[4].bit_length()  # of the size: the leading zeros count its bytes
        size = int.from_bytes(header[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if size == (1 << 7 * width) - 1:  # unknown
            return False
        position += 4 + width + size
    return position > length
