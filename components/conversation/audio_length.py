"""How long a recording is, by its samples: counted once, and kept with the file's digest."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from components.base.cache import Cache, file_digest
from components.base.errors import InputError
from components.base.scratch import at_hand
from components.base.storage import Url
from components.conversation.audio import (
    Opened,
    Source,
    check_readable,
    decoded,
    local,
    name_of,
)
from components.conversation.audio_blocks import seconds
from components.conversation.audio_ogg import link_of, read_links
from components.conversation.audio_parts import find_parts
from components.conversation.audio_soundfile import is_honest_flac, kind_of, open_soundfile
from components.conversation.audio_tracks import packet_seconds
from components.conversation.types import LATEST, Seconds

VERSION = 2  # of what is counted in the same file: part of the cache's keys

REMEMBERED = 10_000
"""Files whose length this process knows while they are unchanged."""


@dataclass(frozen=True, slots=True)
class Length:
    """A whole recording, counted.

    Attributes:
        seconds: by its samples, on its container's clock.
        notes: what is odd in it, a line each; as those of `Sound`.
    """

    seconds: Seconds
    notes: tuple[str, ...] = ()


def audio_duration(source: Source, cache: Cache | None = None) -> Seconds:
    """The length of a recording in seconds; see `measure`."""
    return measure(source, cache).seconds


def measure(source: Source, cache: Cache | None = None) -> Length:
    """Read every sample of a recording, and keep none.

    A process reads a file once, unless it changes.

    Args:
        source: a file's path, an object's URL, or an open binary file.
        cache: where the length of a packed file, or of an object, is kept for other processes, by
            its digest.

    Raises:
        InputError: as `read_audio`.
    """
    if isinstance(source, Url):
        if cache:
            return _kept_length(source, cache)
        with at_hand(source, source.state()):  # as it is now
            return _measure(source)
    if not isinstance(source, (str, Path)):
        return _measure(source)
    check_readable(source)
    state = Path(source).stat()
    root = cache and str(cache.root)
    return _measured(str(source), state.st_ino, state.st_size, state.st_mtime_ns, root)


@lru_cache(REMEMBERED)
def _measured(path: str, _inode: int, _size: int, _changed: int, root: str | None) -> Length:
    with Opened(path) as file:
        if root is None or kind_of(file) == "unpacked":  # is counted as fast as its digest
            return _measure(path)
    return _kept_length(Path(path), Cache(Path(root)))


def _kept_length(source: Path | Url, cache: Cache) -> Length:
    kept = cache.path("lengths", VERSION, file_digest(source, cache), suffix=".json")
    with suppress(OSError, InputError, ValueError, TypeError):
        cache.has(kept)
        known = json.loads(kept.read_text(encoding="utf-8"))
        return Length(float(known["seconds"]), tuple(map(str, known["notes"])))
    length = _measure(source)
    with suppress(OSError, InputError), cache.making(kept) as temporary:  # it is only a memory
        temporary.write_text(json.dumps(asdict(length)), encoding="utf-8")
    return length


def _measure(source: Source) -> Length:
    notes: list[str] = []
    length = decoded(source, seconds, notes)
    return Length(length, tuple(dict.fromkeys(notes)))


def seconds_up_to(source: Source, limit: Seconds) -> Seconds:
    """The length of a recording, counted no further than a little beyond a limit.

    Raises:
        InputError: as `read_audio`.
    """
    return decoded(source, seconds, [], 0.0, limit + 1)


def is_longer_than(source: Source, limit: Seconds) -> bool:
    """Whether a recording is longer than a limit, told from its packets without decoding them.

    So a file of a megabyte that unpacks to days is refused at once. False is no promise.

    Raises:
        InputError: as `read_audio`.
    """
    name, left = name_of(source), limit
    with local(source) as here, Opened(here, name) as file:
        recordings = list(_recordings(file))
        for recording in recordings:
            # What one of several is lacking is told when they are heard.
            with suppress(*[InputError] if len(recordings) > 1 else []):
                left -= _seconds_stated(recording, name, left)
            if left < 0:
                return True
        return False


def stated_duration(source: Source) -> Seconds:
    """The length of a recording as its header or its packets state it; nothing is decoded.

    Raises:
        InputError: as `read_audio`, of what does not take decoding to find.
    """
    name = name_of(source)
    with local(source) as here, Opened(here, name) as file:
        return sum(_seconds_stated(recording, name, LATEST) for recording in _recordings(file))


def _recordings(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """All recordings that a file joins, each as a file of its own."""
    for part in find_parts(file):
        content = part.of(file)
        if kind_of(content) == "ogg":
            yield from (link_of(content, link) for link in read_links(content))
        else:
            yield content


def _seconds_stated(file: IO[bytes], name: str, limit: Seconds) -> Seconds:
    """The length of one recording by its packets, counted little further than a limit."""
    import soundfile

    kind = kind_of(file)
    if kind == "unpacked" or (kind == "flac" and is_honest_flac(file)):
        with suppress(soundfile.LibsndfileError), open_soundfile(file) as sound:
            return float(sound.frames / sound.samplerate)
    return packet_seconds(file, name, limit)
