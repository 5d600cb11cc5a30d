"""Tags around packed sound that has no container (MP3, AAC): their bytes are no sound.

Decoders take what lies in them, such as a picture of the album, for damaged sound.
"""

import re
from collections.abc import Iterator
from typing import IO

from components.base.errors import InputError
from components.conversation.audio_views import Piece

MAX_TAGS = 8
"""At one end of some sound."""

MAX_TAGS_WITHIN = 100_000
"""In a file: one in each stretch of a second, for a day."""

TAG = re.compile(rb"ID3[\2-\4]\0.[\0-\x7f]{4}", re.DOTALL)
TAG_BYTES = 10

COUNT = re.compile(rb"Xing|Info|VBRI")
"""Names of what the first frame of an MP3 holds in place of sound, if it was written as a file."""


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
    return TAG_BYTES + size + TAG_BYTES * (head[5] >> 4 & 1)  # the last: a footer


def leading_tags(file: IO[bytes]) -> int:
    """How long the tags are with which a file begins."""
    end = 0
    for _ in range(MAX_TAGS):
        file.seek(end)
        tag = leading_tag(file.read(TAG_BYTES))
        if not tag:
            break
        end += tag
    return end


def is_frame(head: bytes) -> bool:
    """Whether some bytes begin as a frame of MP3 or AAC does."""
    return head[:1] == b"\xff" and head[1:2] >= b"\xe0"


def stretches(file: IO[bytes], places: Iterator[int], length: int) -> Iterator[list[Piece]]:
    """A file's sound without the tags in it; a list for each recording that it joins.

    A tag between frames is no new recording: segments of a stream have one each, and a decoder
    needs the frames before it. Only a first frame that counts the others begins one.

    Args:
        file: MP3 or AAC without a container.
        places: where tags may begin behind the first bytes.
        length: of the file.

    Raises:
        InputError: it has too many tags.
    """
    pieces: list[Piece] = []
    begin = count = 0
    for place in places:
        if place < begin:  # in a tag
            continue
        count += 1
        if count > MAX_TAGS_WITHIN:
            raise InputError(f"the file has more than {MAX_TAGS_WITHIN:,} tags; export it again")
        file.seek(place)
        end = place + leading_tag(file.read(TAG_BYTES))
        file.seek(end)
        head = file.read(64)
        # What only looks like a tag, or is damaged, is left to the decoder, which tells of it.
        known = is_frame(head) or head[:3] in (b"ID3", b"TAG") or head[:8] == b"APETAGEX"
        if not known and end != length:
            continue
        if place > begin:
            pieces.append((begin, without_tags(file, begin, place - begin)))
        if pieces and is_frame(head) and COUNT.search(head, 4):
            yield pieces
            pieces = []
        begin = end
    if begin < length:
        pieces.append((begin, without_tags(file, begin, length - begin)))
    if pieces:
        yield pieces


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
