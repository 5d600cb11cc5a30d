"""The boxes that an MP4 or QuickTime file is made of (ISO 14496-12), counted as they are walked.

FFmpeg reads every box when it opens a file, and a box may be eight bytes long: 20 MB of nothing
else kept a processor busy for eight seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from components.base.errors import InputError

MAX_BOXES = 500_000
"""Twice what four hours in fragments of half a second have."""

_MAX_DEPTH = 10  # FFmpeg goes no deeper

_HOLDERS = frozenset(
    b"moov trak mdia minf stbl dinf edts udta mvex moof traf mfra ilst gmhd tref clip".split()
)
"""Those that hold boxes."""


@dataclass(frozen=True, slots=True)
class Box:
    """One box.

    Attributes:
        kind: its four characters.
        place: where it begins in the file, in bytes.
        depth: how many others it lies in.
    """

    kind: bytes
    place: int
    depth: int


def boxes(file: IO[bytes], length: int) -> Iterator[Box]:
    """All boxes of a file, in order; of a file that is made of none, few or none.

    Args:
        file: it is read here and there.
        length: of the file, in bytes.

    Raises:
        InputError: they are too many.
    """
    for count, box in enumerate(_inside(file, 0, length, 0), start=1):
        if count > MAX_BOXES:
            raise InputError(
                f"the film is made of more than {MAX_BOXES:,} boxes; save it anew, or send WAV"
            )
        yield box


def _inside(file: IO[bytes], place: int, end: int, depth: int) -> Iterator[Box]:
    while place + 8 <= end:
        file.seek(place)
        head = file.read(16)
        size, kind, begin = int.from_bytes(head[:4], "big"), head[4:8], place + 8
        if size == 1:
            size, begin = int.from_bytes(head[8:], "big"), place + 16
        yield Box(kind, place, depth)
        if kind in _HOLDERS and depth < _MAX_DEPTH:
            last = min(place + size, end) if size else end
            yield from _inside(file, begin, last, depth + 1)
        if size < 8:  # 0: up to the end
            return
        place += size
