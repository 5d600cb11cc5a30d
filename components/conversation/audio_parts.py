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
from components.conversation.audio_headers import (
    chunks,
    is_beginning,
    layout_of,
    sizes,
    sound_header,
)
from components.conversation.audio_tags import TAG, is_frame, leading_tags, stretches
from components.conversation.audio_views import Piece, view

MAX_PARTS = 1_000

MAX_KINDS = 10
"""Times that a file may go on in another format."""

MAX_BOXES = 100_000
"""Of an MP4, one in the other not counted; live recordings have some for each second."""

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
FILM = re.compile(rb"ftyp(?:M4A |mp4[12]|isom|iso[2-9]|3g[p2].|qt  )")
TAGGED = re.compile(rb"ID3[\3\4]\0.[\0-\x7f]{4}[A-Z][A-Z0-9]{3}", re.DOTALL)
OGG = re.compile(rb"OggS\0\x02\0{8}")
LONGEST = 64  # bytes of what these find


@dataclass(frozen=True, slots=True)
class Part:
    """One recording in a file.

    Attributes:
        pieces: its bytes in the file.
        header: what should stand before them, where the format tells it only once.
    """

    pieces: tuple[Piece, ...]
    header: bytes = b""

    def of(self, file: IO[bytes]) -> IO[bytes]:
        """It as a file of its own."""
        whole = self.pieces == ((0, file.seek(0, os.SEEK_END)),) and not self.header
        return file if whole else view(file, self.pieces, self.header)


def find_parts(file: IO[bytes]) -> tuple[Part, ...]:
    """All recordings in a file, in order; one at least.

    Raises:
        InputError: they are too many.
    """
    parts: list[Part] = []
    for part in _all_parts(file, file.seek(0, os.SEEK_END)):
        parts.append(part)
        if len(parts) > MAX_PARTS:
            raise InputError(f"the file joins more than {MAX_PARTS:,} recordings; split it")
    return tuple(parts)


def _all_parts(file: IO[bytes], length: int) -> Iterator[Part]:
    """The recordings of one kind after the other."""
    begin = 0
    for _ in range(MAX_KINDS):
        rest = _part(begin, length - begin).of(file)
        rest.seek(0)
        head = rest.read(12)
        count = _first_kind(rest, head, length - begin)
        for part in _parts(_part(0, count).of(rest), head, count):
            yield Part(tuple((begin + place, n) for place, n in part.pieces), part.header)
        begin += count
        if begin >= length:
            return
    raise InputError(f"the file changes its format more than {MAX_KINDS - 1} times; split it")


def _first_kind(file: IO[bytes], head: bytes, length: int) -> int:
    """Where another format begins behind frames that nothing but their own headers bounds."""
    if head[:4] == b"fLaC":
        others, begin = (WAV, OGG, TAGGED), 1
    elif head[:3] == b"ID3" or is_frame(head):
        others, begin = (WAV, OGG, MARKS[b"fLaC"]), max(leading_tags(file), 1)
        file.seek(begin if begin > 1 else 0)
        if not is_frame(file.read(2)):
            return length
    else:
        return length
    film = next(_found(file, FILM, begin + 4, length), length + 4) - 4  # behind its box's size
    return min(film, *(next(_found(file, other, begin, length), length) for other in others))


def _parts(file: IO[bytes], head: bytes, length: int) -> Iterator[Part]:
    if head[:4] in MARKS:
        yield from _between(_found(file, MARKS[head[:4]], 1, length), length)
    elif head[4:8] == b"ftyp":
        yield from _between(_films(file, length), length)
    elif layout_of(head) or head[:4] in (b".snd", b"dns."):
        yield from _unpacked(file, length)
    elif head[:3] == b"ID3" or is_frame(head):
        tags = _found(file, TAG, max(leading_tags(file), 1), length)
        yield from (Part(tuple(pieces)) for pieces in stretches(file, tags, length))
    else:
        yield _part(0, length)


def _part(begin: int, length: int, header: bytes = b"") -> Part:
    return Part(((begin, length),), header)


def _between(places: Iterator[int], length: int) -> Iterator[Part]:
    begin = 0
    for place in places:
        yield _part(begin, place - begin)
        begin = place
    yield _part(begin, length - begin)


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
    """Where an MP4 begins anew (ISO 14496-12): its boxes are walked."""
    place = count = 0
    while place < length:
        count += 1
        if count > MAX_BOXES:
            raise InputError(f"the file has more than {MAX_BOXES:,} boxes; export it again")
        file.seek(place)
        box = file.read(16)
        size = int.from_bytes(box[:4], "big")
        if size == 1:
            size = int.from_bytes(box[8:], "big")
        if place and box[4:8] == b"ftyp":
            yield place
        if size < 8:  # 0: up to the end
            return
        place += size


def _unpacked(file: IO[bytes], length: int) -> Iterator[Part]:
    """Joined files, and sound that a file holds in several chunks."""
    begin = 0
    while begin < length:
        rest = _part(begin, length - begin).of(file)
        parts, end = _first_unpacked(rest, length - begin)
        for part in parts:
            ((place, count),) = part.pieces
            yield _part(begin + place, count, part.header)
        begin += end


def _first_unpacked(file: IO[bytes], length: int) -> tuple[list[Part], int]:
    """The parts of the first of joined files, and where the next one begins."""
    stated = sizes(file)
    if stated is None:
        return [_part(0, length)], length
    if stated.announced is None or stated.header or stated.announced > stated.present:
        # Nothing tells its end, or what does is wrong.
        end = next(_found(file, WAV, stated.begin, length), length)
        return [_part(0, end)], end
    end = stated.begin + stated.present
    if is_beginning(file, end):
        return [_part(0, end)], end
    file.seek(0)
    layout = layout_of(file.read(4))
    parts: list[Part] = []
    header = b""
    for chunk in chunks(file, layout, end + (-end) % layout.align, length) if layout else ():
        if is_beginning(file, chunk.place):
            return parts or [_part(0, chunk.place)], chunk.place
        if layout and chunk.name == layout.sound and chunk.begin <= length:
            parts = parts or [_part(0, chunk.place)]
            header = header or sound_header(file, layout)
            if size := min(chunk.end, length) - chunk.begin:
                parts.append(_part(chunk.begin, size, header))
    return parts or [_part(0, length)], length
