"""Tags around packed sound that has no container (MP3, AAC): their bytes are no sound.

Decoders take what lies in them, such as a picture of the album, for damaged sound.
"""

from typing import IO

MAX_TAGS = 8


def leading_tag(head: bytes) -> int:
    """How long the tag is with which a file begins (ID3v2); 0 without one.

    Args:
        head: the file's first ten bytes, or more.
    """
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def without_tags(file: IO[bytes], begin: int, length: int) -> int:
    """How many bytes are left of some, if the tags at their end are left out.

    They are ID3v1, APEv2 and Lyrics3v2, in any order.
    """
    for _ in range(MAX_TAGS):
        tag = _last_tag(file, begin, length)
        if not 0 < tag < length:
            break
        length -= tag
    return length


def _last_tag(file: IO[bytes], begin: int, length: int) -> int:
    """How long the tag is with which some bytes end; 0 without one."""

    def at(back: int, count: int) -> bytes:
        if back > length:
            return b""
        file.seek(begin + length - back)
        return file.read(count)

    if at(128, 3) == b"TAG":
        return 128
    footer = at(32, 32)
    if footer[:8] == b"APETAGEX":  # its size holds the footer, but not the header
        return int.from_bytes(footer[12:16], "little") + 32 * (footer[23] >> 7)
    if at(9, 9) == b"LYRICS200" and at(15, 6).isdigit():
        return int(at(15, 6)) + 15
    return 0
