"""Headers of uncompressed sound that lie: the recorder died, or the size outgrew its field.

WAV, RF64, W64, AIFF, AU and CAF say how many bytes of sound follow. A writer fills that in at the
end. One that is killed leaves 0, and above 4 GB a field of 32 bits starts again from 0. Libraries
believe the header, so a size that is too small is corrected here before they see it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

from components.conversation.audio_views import view

MAX_CHUNKS = 1_000
"""A file with more is not walked to its end."""

MAX_HEADER = 1 << 24
"""Bytes before the sound; a longer header is not corrected."""

DS64 = b"ds64" + (28).to_bytes(4, "little") + bytes(28)
"""RF64's chunk of sizes (EBU Tech 3306): of the file, of the sound, and of samples."""

MIN_EXTRA = 1_024
"""Bytes behind the sound that are not worth a correction: 32 ms of 16 bit mono at 16 kHz."""

UNKNOWN = 0x7FFF_0000
"""Writers that cannot go back put a size from here on into a field of 32 bits."""

UNPACKED = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b".snd", b"dns.", b"caff",
            b"NIST")  # fmt: skip
"""How files begin that libsndfile reads by counting bytes (VOC's blocks it takes for sound)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a header says of its sound, and what is so, in bytes.

    Attributes:
        announced: None where it does not say.
        present: from the sound's first byte to its last.
        begin: where the sound begins in the file.
        header: what should stand before it, where it has to be corrected before it can be read.
    """

    announced: int | None
    present: int
    begin: int
    header: bytes = b""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a format lays out its chunks."""

    order: Literal["little", "big"]
    first: int  # where the first chunk begins
    id_bytes: int = 4
    size_bytes: int = 4
    align: int = 2
    counts_itself: bool = False  # a chunk's size holds its header, too
    sound: bytes = b"data"


LAYOUTS = {
    b"RIFF": Layout("little", 12),
    b"RF64": Layout("little", 12),
    b"BW64": Layout("little", 12),
    b"RIFX": Layout("big", 12),
    b"FORM": Layout("big", 12, sound=b"SSND"),
    b"caff": Layout("big", 8, size_bytes=8, align=1),
    b"riff": Layout("little", 40, 16, 8, align=8, counts_itself=True),
}


_FORMS = {  # what stands behind the first four bytes, and where
    **dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"BW64"), (8, (b"WAVE",))),
    b"FORM": (8, (b"AIFF", b"AIFC", b"8SVX", b"16SV")),
    b"caff": (4, (b"\0\1\0\0",)),
    b"riff": (4, (b"\x2e\x91\xcf\x11",)),
    b".snd": (4, (b"\0\0\0",)),
    b"dns.": (5, (b"\0\0\0",)),
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file by its own header.

    Attributes:
        name: four bytes.
        place: where it begins.
        field: where its size stands.
        begin, end: of its content, as announced.
    """

    name: bytes
    place: int
    field: int
    begin: int
    end: int


def layout_of(head: bytes) -> Layout | None:
    """How a file of chunks is laid out, by its first bytes; None for other files."""
    return LAYOUTS.get(head[:4])


def is_beginning(file: IO[bytes], place: int) -> bool:
    """Whether an uncompressed recording begins there."""
    file.seek(place)
    head = file.read(12)
    at, forms = _FORMS.get(head[:4], (0, ()))
    return any(head[at : at + len(form)] == form for form in forms)


def sizes(file: IO[bytes]) -> Sizes | None:
    """What the header of an uncompressed file says of its length; None for other files."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    magic = file.read(4)
    if magic in (b".snd", b"dns."):
        return _au_sizes(file, length, "big" if magic == b".snd" else "little")
    layout = LAYOUTS.get(magic)
    before: dict[bytes, Chunk] = {}
    for chunk in chunks(file, layout, layout.first, length) if layout else ():
        if layout and chunk.name == layout.sound:
            return _chunk_sizes(file, layout, chunk, before, length)
        before[chunk.name] = chunk
    return None


def sound_header(file: IO[bytes], size: int) -> bytes:
    """What stands before the first chunk of sound, its name and size included.

    Args:
        file: has such a chunk.
        size: of the sound behind it, in bytes.
    """
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    layout = LAYOUTS[file.read(4)]
    before: dict[bytes, Chunk] = {}
    for chunk in chunks(file, layout, layout.first, length):
        if chunk.name == layout.sound:
            return _header(file, layout, chunk, before, size)
        before[chunk.name] = chunk
    raise ValueError("the file has no chunk of sound")


def corrected(file: IO[bytes], header_sizes: Sizes) -> IO[bytes]:
    """The file as it reads with its header corrected; the file itself stays as it is."""
    if not header_sizes.header:
        return file
    return view(file, header_sizes.begin, header_sizes.present, header_sizes.header)


def _au_sizes(file: IO[bytes], length: int, order: Literal["little", "big"]) -> Sizes:
    begin, announced = (int.from_bytes(file.read(4), order) for _ in range(2))
    present = max(length - begin, 0)
    if announced >= UNKNOWN:
        return Sizes(None, present, begin)
    if present < announced + MIN_EXTRA or is_beginning(file, begin + announced):
        return Sizes(announced, min(present, announced), begin)
    file.seek(0)
    header = bytearray(file.read(begin))
    header[8:12] = b"\xff" * 4
    return Sizes(announced or None, present, begin, bytes(header))


def _chunk_sizes(
    file: IO[bytes], layout: Layout, sound: Chunk, before: dict[bytes, Chunk], length: int
) -> Sizes:
    announced, width = sound.end - sound.begin, layout.size_bytes
    if _in_ds64(before, announced):
        file.seek(before[b"ds64"].begin + 8)
        announced, width = int.from_bytes(file.read(8), layout.order), 8
    unknown = UNKNOWN if width == 4 else 1 << 62
    present = length - sound.begin
    if announced >= unknown and width == 4:
        return Sizes(None, present, sound.begin)
    end = sound.begin + announced
    if announced < unknown and (
        present < announced + MIN_EXTRA or _is_whole(file, layout, end, length)
    ):
        return Sizes(announced, min(present, announced), sound.begin)
    if sound.begin > MAX_HEADER:
        return Sizes(announced, announced, sound.begin)
    known = announced if 0 < announced < unknown else None
    header = _header(file, layout, sound, before, present)
    return Sizes(known, present, sound.begin, header)


def _in_ds64(before: dict[bytes, Chunk], announced: int) -> bool:
    return b"ds64" in before and announced == 0xFFFF_FFFF


def _header(
    file: IO[bytes], layout: Layout, sound: Chunk, before: dict[bytes, Chunk], size: int
) -> bytes:
    """What stands before the sound, made to say that so many bytes follow."""
    field, width = sound.field, layout.size_bytes
    if _in_ds64(before, sound.end - sound.begin):
        field, width = before[b"ds64"].begin + 8, 8
    file.seek(0)
    header = bytearray(file.read(sound.begin))
    size += (sound.begin - sound.field + layout.id_bytes) * layout.counts_itself
    if size < 1 << 8 * width:
        header[field : field + width] = size.to_bytes(width, layout.order)
    elif (
        bytes(header[:4]) == b"RIFF"
    ):  # a WAV of more than 4 GB is read as what it should have been
        header[field : field + width] = b"\xff" * width
        header[:4] = b"RF64"
        header[12:12] = DS64[:16] + size.to_bytes(8, "little") + DS64[24:]
    if b"COMM" in before:  # AIFF counts its samples a second time
        at = before[b"COMM"].begin + 2
        header[at : at + 4] = b"\x7f" + b"\xff" * 3
    return bytes(header)


def chunks(file: IO[bytes], layout: Layout, position: int, length: int) -> Iterator[Chunk]:
    """The chunks of a file from a place on, as far as their sizes lead to each other."""
    head = layout.id_bytes + layout.size_bytes
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        header = file.read(head)
        if len(header) < head:
            return
        size = int.from_bytes(header[layout.id_bytes :], layout.order)
        size = max(size - head, 0) if layout.counts_itself else size
        begin = position + head
        end = begin + size
        yield Chunk(header[:4], position, position + layout.id_bytes, begin, end)
        position = end + (-end) % layout.align
        if position > length:
            return


def _is_whole(file: IO[bytes], layout: Layout, end: int, length: int) -> bool:
    """Whether what follows the sound is none of it: chunks, tags, padding, another recording."""
    file.seek(end)
    rest = file.read(1 << 20)
    if rest[:3] in (b"ID3", b"TAG") or rest[:8] == b"APETAGEX":
        return True
    if end + len(rest) == length and not any(rest):
        return True
    if is_beginning(file, end):
        return True
    start, last = end + (-end) % layout.align, None
    for last in chunks(file, layout, start, length):
        if is_beginning(file, last.place):
            return True
        if not all(32 <= byte < 127 or byte == 169 for byte in last.name) or last.end > length + 1:
            return False
    return last is not None and length - last.end < layout.id_bytes + layout.size_bytes
