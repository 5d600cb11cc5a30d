"""A file's bytes as another file would hold them, without a copy."""

import io
import os
from typing import IO


class FileView(io.RawIOBase):
    """Some bytes of a file behind a header of their own.

    Args:
        file: what is read; nobody else may read it meanwhile.
        begin: of those bytes in the file.
        length: of those bytes.
        header: stands before them.
    """

    def __init__(self, file: IO[bytes], begin: int, length: int, header: bytes = b"") -> None:
        self._file, self._begin, self._header = file, begin, header
        self._length = len(header) + length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = min(len(buffer), max(self._length - self._position, 0))
        content = self._header[self._position : self._position + count]
        if not content:
            self._file.seek(self._begin + self._position - len(self._header))
            content = self._file.read(count)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def view(file: IO[bytes], begin: int, length: int, header: bytes = b"") -> IO[bytes]:
    """A buffered `FileView`."""
    return io.BufferedReader(FileView(file, begin, length, header), 1 << 16)
