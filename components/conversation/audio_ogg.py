"""The pages of an Ogg file (RFC 3533), without decoding them.

They tell where joined recordings begin, of which libraries read the first or stumble over the
second, and whether a page is missing or broken, which libsndfile leaves out without a word.
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from components.conversation.audio_views import view

HEADER = 27  # bytes before a page's table of segments
FIRST, LAST = 2, 4  # flags of a page
MAX_BROKEN = 1_000
"""Of what only looks like a page; a file with more of them is read no further."""

PIECE = 1 << 20  # bytes searched at once for the next page

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(slots=True)
class Link:
    """One of the recordings that a file joins; nearly always the only one.

    Attributes:
        begin, end: its bytes in the file.
        streams: how many streams of pages are in it.
        damaged: pages are missing or broken, or something else lies between them.
        ended: the last page carries the mark of the end.
        opus: its sound is Opus.
    """

    begin: int
    end: int = 0
    streams: int = 0
    damaged: bool = False
    ended: bool = False
    opus: bool = False


@dataclass(frozen=True, slots=True)
class _Page:
    begin: int
    end: int
    flags: int
    serial: bytes
    number: int
    opus: bool


def read_links(file: IO[bytes]) -> list[Link]:
    """Walk through all pages of an Ogg file; there is one link at least."""
    length = file.seek(0, os.SEEK_END)
    links = [Link(0)]
    numbers: dict[bytes, int] = {}
    before: _Page | None = None
    for page in _pages(file):
        begins = bool(page.flags & FIRST)
        if begins and before and not before.flags & FIRST:
            links[-1].end = before.end
            links.append(Link(page.begin))
            numbers = {}
        link = links[-1]
        link.streams += begins
        expected = 0 if begins else numbers.get(page.serial, -1) + 1
        gap = page.begin != (before.end if before else 0)
        link.damaged = link.damaged or gap or page.number != expected
        link.ended = bool(page.flags & LAST)
        link.opus = link.opus or page.opus
        numbers[page.serial] = page.number
        before = page
    links[-1].end = length
    if before is None or before.end != length:
        links[-1].damaged, links[-1].ended = True, False
    return links


def link_of(file: IO[bytes], link: Link) -> IO[bytes]:
    """The link as a file of its own."""
    return view(file, link.begin, link.end - link.begin)


def _pages(file: IO[bytes]) -> Iterator[_Page]:
    """All whole pages; what lies between them is left out."""
    position, broken = 0, 0
    while broken <= MAX_BROKEN:
        file.seek(position)
        header = file.read(HEADER)
        if len(header) < HEADER:
            return
        table = file.read(header[26])
        body = file.read(sum(table))
        end = position + HEADER + len(table) + len(body)
        if header[:5] == b"OggS\0" and len(body) == sum(table) and _is_whole(header, table, body):
            number = int.from_bytes(header[18:22], "little")
            yield _Page(position, end, header[5], header[14:18], number, body[:8] == b"OpusHead")
            position = end
            continue
        position, broken = _next(file, position + 1), broken + 1
        if position < 0:
            return


def _next(file: IO[bytes], position: int) -> int:
    """Where the next page may begin; -1 if nowhere."""
    while True:
        file.seek(position)
        piece = file.read(PIECE)
        found = piece.find(b"OggS\0")
        if found >= 0:
            return position + found
        if len(piece) < PIECE:
            return -1
        position += PIECE - 4


def _is_whole(header: bytes, table: bytes, body: bytes) -> bool:
    """Whether a page's checksum is right.

    It has the polynomial of zlib's, with the bits of each byte and of the result in reverse.
    """
    page = (header[:22] + bytes(4) + header[26:] + table + body).translate(_REVERSED)
    mirrored = zlib.crc32(page, 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{mirrored:032b}"[::-1], 2) == int.from_bytes(header[22:26], "little")
