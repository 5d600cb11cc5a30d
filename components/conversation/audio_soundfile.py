"""Sound that soundfile reads, and when it may: it seeks, and it believes headers."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from components.base.errors import InputError
from components.conversation.audio_blocks import BLOCK, Block
from components.conversation.audio_downmix import Downmix, Mix
from components.conversation.audio_headers import MIN_EXTRA, UNPACKED, Sizes, corrected, sizes
from components.conversation.audio_track import NO_SOUND, check_shape
from components.conversation.types import Seconds

if TYPE_CHECKING:
    import soundfile


class _Calm:
    """A file that stays where it is, if a damaged header sends it to where nothing is.

    libsndfile calls back to seek, and an error in a callback is a traceback on standard error.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with suppress(OSError, OverflowError, ValueError):
            return self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


class LostError(Exception):
    """Less sound came than a packed file says that it holds."""


def kind_of(file: IO[bytes]) -> str:
    """How a file begins: unpacked, flac, ogg or other."""
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    return "unpacked" if head[:4] in UNPACKED and head[8:] != b"AVI " else "other"


def is_honest_flac(file: IO[bytes]) -> bool:
    """Whether the last sample that the header counts is the last one in the file."""
    import soundfile

    length = file.seek(0, os.SEEK_END)
    try:
        with open_soundfile(file) as sound:
            sound.seek(sound.frames - 1)
            return len(sound.read(1)) == 1 and file.tell() == length
    except (soundfile.LibsndfileError, OverflowError):
        return False


def open_soundfile(file: IO[bytes], header_sizes: Sizes | None = None) -> "soundfile.SoundFile":
    """A file opened by soundfile, as if its header told the truth."""
    import soundfile

    header_sizes = header_sizes or sizes(file)
    file = corrected(file, header_sizes) if header_sizes else file
    file.seek(0)
    return soundfile.SoundFile(_Calm(file))


def soundfile_blocks(
    file: IO[bytes],
    name: str,
    notes: list[str],
    start: Seconds,
    end: Seconds | None,
    mix: Mix,
) -> Iterator[Block]:
    """A stretch of what soundfile reads; it seeks to it."""
    header_sizes = sizes(file)
    with open_soundfile(file, header_sizes) as sound:
        rate = sound.samplerate
        check_shape(name, rate, sound.channels)
        if not sound.frames:
            raise InputError(f"{name}: {NO_SOUND}")
        if header_sizes:
            notes += _size_notes(header_sizes, sound.frames / rate)
        first = min(max(round(start * rate), 0), sound.frames)
        last = sound.frames if end is None else min(max(round(end * rate), first), sound.frames)
        if first:
            sound.seek(first)
        downmix, place = Downmix(mix), first
        while place < last:
            frames = sound.read(min(last - place, BLOCK), dtype="float32", always_2d=True)
            if not len(frames):
                if sound.format in ("FLAC", "OGG"):
                    raise LostError
                break
            yield rate, downmix(frames, place / rate, rate)
            place += len(frames)
    if downmix.cancelled:
        notes.append(downmix.note())


def _size_notes(stated: Sizes, held: Seconds) -> Iterator[str]:
    """A line, if the header states another length than the file has."""
    if stated.announced is None or abs(stated.announced - stated.present) < MIN_EXTRA:
        return
    announced = held * stated.announced / max(stated.present, 1)
    ends = "is cut" if announced > held else "is longer than it says"
    yield f"{ends}: its header announces {announced:.2f} s, and it holds {held:.2f} s"
