"""The recordings that a file holds, one after the other; nearly always one.

`cat a.wav b.wav` joins them, and so do recorders that go on in the same file. Libraries read the
first one, say nothing of the rest, or take the next header for sound. Each is a part, read as a
file of its own. (Ogg has its own way to join recordings: see `audio_ogg`.)
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from components.base.errors import InputError
from components.conversation.audio_boxes import boxes
from components.conversation.audio_headers import (
    chunks,
    is_beginning,
    layout_of,
    sizes,
    sound_header,
)
from components.conversation.audio_tags import leading_tag, without_tags
from components.conversation.audio_views import view

MAX_PARTS = 1_000

PIECE = 1 << 20  # bytes searched at once

MARKS = {
    b"fLaC": re.compile(rb"fLaC[\0\x80]\0\0\x22"),
    b"#!AM": re.compile(rb"#!AMR(-WB)?\n"),
    b"NIST": re.compile(rb"NIST_1A\n   1024\n"),
    b"Crea": re.compile(rb"Creative Voice File\x1a"),
    b"\x1a\x45\xdf\xa3": re.compile(  # Matroska and WebM
        rb"\x1a\x45\xdf\xa3.{1,40}?\x42\x82.(webm|matroska)", re.DOTALL
    ),
    b"\x30\x26\xb2\x75": re.compile(  # ASF
        rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
    ),
}
"""How recordings begin, by their first bytes; long enough to stand in no sound by chance."""

WAV = re.compile(rb"RIFF.{4}WAVEfmt ", re.DOTALL)
TAGGED = re.compile(rb"ID3[\3\4]\0.[\0-\x7f]{4}[A-Z][A-Z0-9]{3}", re.DOTALL)
LONGEST = 64  # bytes of what these find


@dataclass(frozen=True, slots=True)
class Part:
    """One recording in a file.

    Attributes:
        begin, length: of its bytes.
        header: what should stand before them, where the format tells it only once.
    """

    begin: int
    length: int
    header: bytes = b""

    def of(self, file: IO[bytes]) -> IO[bytes]:
        """It as a file of its own."""
        whole = not self.begin and self.length == file.seek(0, os.SEEK_END)
        return file if whole else view(file, self.begin, self.length, self.header)


def find_parts(file: IO[bytes]) -> tuple[Part, ...]:
    """All recordings in a file, in order; one at least.

    Raises:
        InputError: they are too many.
    """
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    parts: list[Part] = []
    for part in _parts(file, head, length):
        parts.append(part)
        if len(parts) > MAX_PARTS:
            raise InputError(f"the file joins more than {MAX_PARTS:,} recordings; split it")
    return tuple(parts)


def _parts(file: IO[bytes], head: bytes, length: int) -> Iterator[Part]:
    if head[:4] in MARKS:
        yield from _between(_found(file, MARKS[head[:4]], 1, length), length)
    elif head[4:8] == b"ftyp":
        yield from _between(_films(file, length), length)
    elif layout_of(head) or head[:4] in (b".snd", b"dns."):
        yield from _unpacked(file, length)
    elif head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        for part in _between(_found(file, TAGGED, leading_tag(head) + 1, length), length):
            yield Part(part.begin, without_tags(file, part.begin, part.length))
    else:
        for _ in boxes(file, length):  # QuickTime's films need no `ftyp`
            pass
        yield Part(0, length)


def _between(places: Iterator[int], length: int) -> Iterator[Part]:
    begin = 0
    for place in places:
        yield Part(begin, place - begin)
        begin = place
    yield Part(begin, length - begin)


def _found(file: IO[bytes], mark: re.Pattern[bytes], begin: int, end: int) -> Iterator[int]:
    """Where a mark stands in a file, from a place on."""
    while begin < end:
        file.seek(begin)
        piece = file.read(PIECE + LONGEST)
        for found in mark.finditer(piece):
            if found.start() < PIECE:
                yield begin + found.start()
        begin += PIECE


def _films(file: IO[bytes], length: int) -> Iterator[int]:
    """Where an MP4 begins anew."""
    for box in boxes(file, length):
        if box.place and not box.depth and box.kind == b"ftyp":
            yield box.place


def _unpacked(file: IO[bytes], length: int) -> Iterator[Part]:
    """Joined files, and sound that a file holds in several chunks."""
    begin = 0
    while begin < length:
        rest = Part(begin, length - begin).of(file)
        parts, end = _first_unpacked(rest, length - begin)
        for part in parts:
            yield Part(begin + part.begin, part.length, part.header)
        begin += end


def _first_unpacked(file: IO[bytes], length: int) -> tuple[list[Part], int]:
    """The parts of the first of joined files, and where the next one begins."""
    stated = sizes(file)
    if stated is None:
        return [Part(0, length)], length
    if stated.announced is None:  # nothing tells its end
        end = next(_found(file, WAV, stated.begin, length), length)
        return [Part(0, end)], end
    if stated.header:
        return [Part(0, length)], length
    end = stated.begin + stated.present
    if is_beginning(file, end):
        return [Part(0, end)], end
    file.seek(0)
    layout = layout_of(file.read(4))
    parts: list[Part] = []
    for chunk in chunks(file, layout, end + (-end) % layout.align, length) if layout else ():
        if is_beginning(file, chunk.place):
            return parts or [Part(0, chunk.place)], chunk.place
        if layout and chunk.name == layout.sound and chunk.begin < length:
            size = min(chunk.end, length) - chunk.begin
            parts = parts or [Part(0, chunk.place)]
            parts.append(Part(chunk.begin, size, sound_header(file, size)))
    return parts or [Part(0, length)], length
