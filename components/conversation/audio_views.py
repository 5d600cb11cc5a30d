"""A file's bytes as another file would hold them, without a copy."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import IO

Piece = tuple[int, int]
"""Bytes of a file: where they begin, and how many."""


class FileView(io.RawIOBase):
    """Some bytes of a file behind a header of their own.

    Args:
        file: what is read; nobody else may read it meanwhile.
        pieces: of its bytes, one behind the other; one at least.
        header: stands before them.
    """

    def __init__(self, file: IO[bytes], pieces: Sequence[Piece], header: bytes = b"") -> None:
        self._file, self._pieces, self._header = file, pieces, header
        self._ends = list(accumulate((count for _, count in pieces), initial=len(header)))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._ends[-1]}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        place, number = self._position, bisect_right(self._ends, self._position)
        if number == len(self._ends):
            return 0
        count = min(len(buffer), self._ends[number] - place)
        if number:
            self._file.seek(self._pieces[number - 1][0] + place - self._ends[number - 1])
            content = self._file.read(count)
        else:
            content = self._header[place : place + count]
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def view(file: IO[bytes], pieces: Sequence[Piece], header: bytes = b"") -> IO[bytes]:
    """A buffered `FileView`."""
    return io.BufferedReader(FileView(file, pieces, header), 1 << 16)
