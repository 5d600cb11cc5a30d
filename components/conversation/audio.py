"""Reading sound: any file becomes mono 16 kHz float32.

Uncompressed files, and FLAC and Ogg that are what their headers say, are read by soundfile, which
seeks; everything else by PyAV. Channels are averaged, since each may carry one side of the
conversation. No length that a header states is believed: samples are counted.
"""

import os
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from components.base.errors import InputError
from components.base.scratch import at_hand
from components.base.storage import Url
from components.conversation.audio_blocks import (
    SAMPLE_RATE,
    Block,
    between,
    finite,
    gathered,
    without_offset,
)
from components.conversation.audio_downmix import Mix
from components.conversation.audio_headers import sizes
from components.conversation.audio_ogg import Link, link_of, read_links
from components.conversation.audio_parts import Part, find_parts
from components.conversation.audio_soundfile import (
    LostError,
    is_honest_flac,
    kind_of,
    soundfile_blocks,
)
from components.conversation.audio_tracks import Pace, find_pace, track_blocks
from components.conversation.types import Seconds

Source = Path | str | Url | IO[bytes]
Local = Path | str | IO[bytes]
T = TypeVar("T")
Reader = Callable[[list[str]], Iterator[Block]]
"""Reads one of joined recordings; notes go into the list."""

PREROLL: Seconds = 2.0
"""Read before a stretch of packed sound, since decoders need some packets to find in."""

REMEMBERED = 10_000
"""Files whose length is not counted again by this process while they are unchanged."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording, or a stretch of one, as it was heard.

    Attributes:
        samples: float32 [samples], mono at `SAMPLE_RATE`, nominally within ±1.
        notes: what the listener should know, a line each: damage, gaps, a header that lies, tracks
            that were mixed. Complete only where all was read.
        apart: the channels seem to carry a speaker each, see `Mix`.
    """

    samples: np.ndarray
    notes: tuple[str, ...] = ()
    apart: bool = False


def read_audio(source: Source, start: Seconds = 0.0, end: Seconds | None = None) -> np.ndarray:
    """Read a stretch of a recording.

    Args:
        source: a file's path, an object's URL, or an open binary file.
        start: where the stretch begins, in seconds; before 0 is taken as 0.
        end: where it ends; None, or beyond the end, means the recording's end.

    Returns:
        float32 of shape [samples], mono at `SAMPLE_RATE`, nominally within ±1.

    Raises:
        InputError: no such file, empty, not audio, or samples that are not numbers.
    """
    return listen(source, start, end).samples


def listen(source: Source, start: Seconds = 0.0, end: Seconds | None = None) -> Sound:
    """Read a stretch of a recording, and notes on what is odd in it; see `read_audio`."""
    notes: list[str] = []
    mix = Mix()
    samples = decoded(source, gathered, notes, start, end, mix)
    return Sound(samples, tuple(dict.fromkeys(notes)), mix.apart)


def plain_wav(file: IO[bytes]) -> np.ndarray | None:
    """The sound of a WAV that needs no decoding: mono, 16 kHz, 16 bit.

    It returns what `read_audio` does, in a tenth of the time.

    Returns:
        float32 of shape [samples]; None where the file is anything else, or damaged.
    """
    file.seek(0)
    try:
        with wave.open(file, "rb") as sound:
            form = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate())
            if form != (1, 2, SAMPLE_RATE):
                return None
            content = sound.readframes(sound.getnframes())
            whole = len(content) == 2 * sound.getnframes() > 0
    except (wave.Error, EOFError, RuntimeError):  # the last: a chunk ends beyond the file
        return None
    header_sizes = sizes(file)
    if not whole or header_sizes is None or header_sizes.header or len(find_parts(file)) > 1:
        return None
    return without_offset(np.frombuffer(content, "<i2").astype(np.float32) / 32_768)


class Opened:
    """A source as a binary file, which is closed again only if it was a path."""

    def __init__(self, source: Local, name: str = "") -> None:
        self._source, self._name = source, name
        self._file: IO[bytes] | None = None

    def __enter__(self) -> IO[bytes]:
        check_readable(self._source, self._name)
        if isinstance(self._source, (str, Path)):
            self._file = Path(self._source).open("rb")
            return self._file
        return self._source

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()


def name_of(source: Source) -> str:
    """What a source is called in messages."""
    return str(source) if isinstance(source, (str, Path, Url)) else "the audio"


@contextmanager
def local(source: Source) -> Iterator[Local]:
    """The source itself, or a copy of an object, which stays as long as the block."""
    if isinstance(source, Url):
        with at_hand(source) as path:
            yield path
    else:
        yield source


def check_readable(source: Local, name: str = "") -> None:
    """Refuse what is missing, a folder or empty."""
    if isinstance(source, (str, Path)):
        path = Path(source)
        name = name or str(path)
        if not path.exists():
            raise InputError(f"{name}: no such file")
        if path.is_dir():
            raise InputError(f"{name}: is a folder, not an audio file")
        if path.stat().st_size == 0:
            raise InputError(f"{name}: the file is empty")
    else:
        if source.seek(0, os.SEEK_END) == 0:
            raise InputError("the audio: the file is empty")
        source.seek(0)


def decoded(
    source: Source,
    use: Callable[[Iterator[Block]], T],
    notes: list[str],
    start: Seconds = 0.0,
    end: Seconds | None = None,
    mix: Mix | None = None,
) -> T:
    """What `use` makes of a stretch's checked blocks; `mix` makes one channel of all."""
    import soundfile

    name, start, mix = name_of(source), max(start, 0.0), mix or Mix()
    with local(source) as here, Opened(here, name) as file:
        try:
            blocks = _blocks(here, file, name, notes, mix, start, end)
            return use(finite(blocks, start, name))
        except (soundfile.LibsndfileError, LostError):  # PyAV tells what is lost
            notes.clear()
            mix.restart()
            blocks = _blocks(here, file, name, notes, mix, start, end, calm=True)
            return use(finite(blocks, start, name))


def _blocks(
    source: Local, file: IO[bytes], name: str, notes: list[str], mix: Mix, start: Seconds,
    end: Seconds | None, *, calm: bool = False,
) -> Iterator[Block]:  # fmt: skip
    """A stretch of all that a file holds; if calm, by the reader that stumbles over nothing."""
    first, *others = parts = _asked(find_parts, source, file)
    if not others:
        return _part_blocks(source, first.of(file), name, notes, mix, start, end, calm=calm)

    def reader(part: Part) -> Reader:
        content = part.of(file)
        return lambda told: _part_blocks(content, content, name, told, mix, 0.0, None, calm=calm)

    return between(_in_turn([reader(part) for part in parts], name, notes), start, end)


def _part_blocks(
    source: Local, file: IO[bytes], name: str, notes: list[str], mix: Mix, start: Seconds,
    end: Seconds | None, *, calm: bool,
) -> Iterator[Block]:  # fmt: skip
    """A stretch of one recording."""
    if not calm and _is_for_soundfile(source, file):
        return soundfile_blocks(file, name, notes, start, end, mix)
    if kind_of(file) == "ogg":
        links = _asked(read_links, source, file)
        readers = [partial(_link_blocks, file, link, name, mix) for link in links]
        blocks = _in_turn(readers, name, notes)
    else:
        # Only of a file at a path is this asked once; an upload is read from its beginning.
        seek = start > PREROLL and isinstance(source, (str, Path))
        seek = seek and _asked(_pace, source, file).steady
        blocks = track_blocks(file, name, notes, mix, start - PREROLL if seek else 0.0)
    return between(blocks, start, end)


def _is_for_soundfile(source: Local, file: IO[bytes]) -> bool:
    """Whether soundfile hears all of a file."""
    kind = kind_of(file)
    if kind == "ogg":
        link, *others = _asked(read_links, source, file)
        whole = link.ended and not link.damaged and link.streams == 1
        # libopusfile makes up sound in a gap; of Vorbis too little comes, which is noticed.
        return not others and whole and not (link.opus and _asked(_pace, source, file).gaps)
    if kind == "flac":
        return is_honest_flac(file)
    return kind == "unpacked"


def _asked(question: Callable[[IO[bytes]], T], source: Local, file: IO[bytes]) -> T:
    """A question on a file's content, asked once while the file at a path is unchanged."""
    if not isinstance(source, (str, Path)):
        return question(file)
    state = Path(source).stat()
    return _remembered(question, str(source), state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(REMEMBERED)
def _remembered(
    question: Callable[[IO[bytes]], T], path: str, _inode: int, _size: int, _changed: int
) -> T:
    with Path(path).open("rb") as file:
        return question(file)


def _pace(file: IO[bytes]) -> Pace:
    try:
        return find_pace(find_parts(file)[0].of(file), "")
    except InputError:
        return Pace(steady=False, gaps=False)


def _in_turn(readers: Sequence[Reader], name: str, notes: list[str]) -> Iterator[Block]:
    """The sound of all recordings that a file joins, one after the other."""
    failed: list[InputError] = []
    for number, read in enumerate(readers, start=1):
        which = f"in part {number} " if len(readers) > 1 else ""
        told: list[str] = []
        try:
            yield from read(told)
        except InputError as error:
            failed.append(error)
            told.append(str(error).removeprefix(f"{name}: "))
        notes += (which + line for line in told)
    if len(failed) == len(readers):
        raise failed[0]


def _link_blocks(
    file: IO[bytes], link: Link, name: str, mix: Mix, notes: list[str]
) -> Iterator[Block]:
    yield from track_blocks(link_of(file, link), name, notes, mix)
    if link.damaged and link.ended and not notes:
        notes.append("is damaged: sound is lost")
    if not link.ended:
        notes.append("is cut or damaged at its end, which has no mark")
