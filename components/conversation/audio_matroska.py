"""Whether a Matroska or WebM file is whole (RFC 9559), which FFmpeg does not tell."""

import os
from typing import IO

EBML, SEGMENT = 0x1A45DFA3, 0x18538067
"""The two elements of a file: what it is, and everything else."""


def is_cut(file: IO[bytes]) -> bool:
    """Whether a file ends before its segment does; a live recording does not say where that is."""
    length = file.seek(0, os.SEEK_END)
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
