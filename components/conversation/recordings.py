"""Recordings: how one is named, and work on many.

A corpus is worked on recording by recording: in shards, one for each core at a time, never twice,
from where a killed run stopped. Transcribing and diarizing share this; each says what it makes of a
recording.
"""

import heapq
import re
import threading
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from components.base import MOST_AT_ONCE, Cache, InputError, Stopped, cores, one_core
from components.conversation.documents import Document
from components.conversation.manifest import FEEDBACK
from components.conversation.types import Progress, Recording

T = TypeVar("T")
_Made = Future[None] | None

WHOLE = (0, 1)
"""The shard that is the whole corpus."""

AUDIO_SUFFIXES = (
    "3g2", "3gp", "aac", "adts", "aif", "aifc", "aiff", "amr", "asf", "au", "avi", "awb", "bwf",
    "caf", "flac", "m2ts", "m4a", "m4b", "m4v", "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpeg",
    "mpg", "mpga", "mts", "oga", "ogg", "ogv", "ogx", "opus", "rf64", "snd", "sph", "spx", "ts",
    "vob", "voc", "w64", "wav", "wave", "weba", "webm", "wma", "wmv",
)  # fmt: skip
"""The ends of names of the sound files, and of films, that can be read."""

AUDIO_SUFFIX = re.compile(rf"\.({'|'.join(AUDIO_SUFFIXES)})$", re.IGNORECASE)
"""The end of a sound file's name, or of a film's."""

AHEAD = 4
"""Times as many recordings as there are cores wait for their turn: a free core goes on while
another one works on a long recording."""

MAX_NAME = 100
"""Characters of a recording's name; the database of jobs holds no more."""


def recording_name(file: str | Path) -> str:
    """The name of a recording, from its file's name: on the command line and in the service alike.

    Folders and suffixes of sound files are left out. Letters, digits, `.`, `-` and `_` stay; what
    lies between them becomes one `_`, so the name is one word in RTTM and safe in a path.
    The name of a name is the name itself.

    >>> recording_name("calls/my call (1).wav")
    'my_call_1'
    >>> recording_name("my_call_1")
    'my_call_1'
    >>> recording_name("C:\\\\calls\\\\2026.05.12 Zoë.MP3")
    '2026.05.12_Zoë'
    >>> recording_name("???.wav")
    'recording'

    Args:
        file: a path, a file's name as an uploader gives it, or a recording's name.
    """
    name = unicodedata.normalize("NFC", AUDIO_SUFFIX.sub("", _last_part(file)))
    name = re.sub(r"[^\w.-]+", "_", name)
    before = ""
    while name != before:  # what is cut off may uncover another suffix
        before, name = name, AUDIO_SUFFIX.sub("", name)[:MAX_NAME].strip("._")
    return name or "recording"


def recording_names(file: str) -> tuple[str, ...]:
    """Every name under which something of a recording, or of its file, may be kept; today's first.

    Version 0.1 had one rule on the command line and another one in the service, some suffixes of
    today were once part of the name, and a request's id is kept as it is.

    >>> recording_names("my call (1).wav")
    ('my_call_1', 'my_call_1_.wav', 'my_call_(1)', 'my call (1).wav')
    """
    last = _last_part(file)
    stem, with_suffix = AUDIO_SUFFIX.sub("", last), re.sub(r"[^\w.-]+", "_", last)
    by_command = "_".join(stem.split())
    by_service = re.sub(r"[^\w.-]+", "_", stem).strip("._")[:MAX_NAME].rstrip("._")
    names = (recording_name(file), with_suffix, by_service, by_command, str(file))
    return tuple(dict.fromkeys(n for n in names if n and n.isprintable()))


def _last_part(file: str | Path) -> str:
    return str(file).replace("\\", "/").rstrip("/").rpartition("/")[2]


def shard_of(
    recordings: Sequence[Recording], index: int = 0, count: int = 1
) -> Sequence[Recording]:
    """The `index`-th of `count` shards that are about as many hours each; by name.

    The longest recording goes first, each to the shard that is the least filled so far. So the
    shards 0 to `count` - 1 together are the corpus, in whatever order it was read. A recording is
    as long as its reference says; where one has none, their files' sizes tell, and objects of a
    store count alike.

    Raises:
        InputError: there is no such shard.
    """
    if not 0 <= index < count:
        raise InputError(f"there is no shard {index} of {count}: they are counted from 0")
    if count == 1:
        return sorted(recordings, key=lambda recording: recording.name)
    size = _seconds if all(recording.utterances for recording in recordings) else _bytes
    sizes = {recording.name: size(recording) for recording in recordings}
    shards: list[list[Recording]] = [[] for _ in range(count)]
    least = [(0.0, 0, number) for number in range(count)]
    for recording in sorted(recordings, key=lambda r: (-sizes[r.name], r.name)):
        filled, members, number = heapq.heappop(least)
        shards[number].append(recording)
        heapq.heappush(least, (filled + sizes[recording.name], members + 1, number))
    return sorted(shards[index], key=lambda recording: recording.name)


def _seconds(recording: Recording) -> float:
    return max(utterance.end for utterance in recording.utterances)


def _bytes(recording: Recording) -> float:
    path = recording.audio
    return float(path.stat().st_size) if isinstance(path, Path) and path.is_file() else 1.0


def work_through(
    recordings: Sequence[Recording],
    kinds: Sequence[str],
    key: Callable[[Recording], Sequence[Any]],
    make: Callable[[Recording, Callable[[float], None]], Mapping[str, str]],
    *,
    suffix: str,
    cache: Cache,
    progress: Progress | None = None,
) -> Iterator[Document]:
    """Make a document of each kind from each recording.

    As many recordings as there are cores (four at most) are worked on at the same time, each in a
    thread and with one core; the documents come in the recordings' order. Each result goes to the
    cache as soon as it is made, and what lies there is not made again: a run that was killed goes
    on at the unfinished ones.

    Args:
        recordings: in the order of the work.
        kinds: of documents.
        key: everything that decides what is made of a recording, as `Cache.path` takes it.
        make: the text of each kind of document; called only for what is in no cache, with what it
            has to call every few seconds. That raises `Stopped` where another recording failed, or
            the run was stopped.
        suffix: of the files' names in the cache.
        cache: where finished work lies.
    """
    at_once, stopped = min(cores(), MOST_AT_ONCE, len(recordings)), threading.Event()

    def step(_: float) -> None:
        if stopped.is_set():
            raise Stopped("the run has ended")

    def finish(recording: Recording, files: Mapping[str, Path]) -> None:
        for kind, text in make(recording, step).items():
            with cache.making(files[kind]) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def with_one_core(recording: Recording, files: Mapping[str, Path]) -> None:
        with one_core():
            finish(recording, files)

    def begun(pool: Executor | None) -> Iterator[tuple[Recording, Mapping[str, Path], _Made]]:
        for recording in recordings:
            names = key(recording)
            # What came back from traffic must be found again when it is erased.
            owner = recording.name if recording.fold == FEEDBACK else ""
            files = {kind: cache.path(kind, *names, suffix=suffix, owner=owner) for kind in kinds}
            made: _Made = None
            if not all(map(cache.has, files.values())):
                if pool is None:
                    finish(recording, files)
                else:
                    made = pool.submit(with_one_core, recording, files)
            yield recording, files, made

    number = 0
    with ThreadPoolExecutor(at_once, "recording") if at_once > 1 else nullcontext() as pool:
        try:
            for recording, files, made in _ahead(begun(pool), AHEAD * at_once if pool else 0):
                if made is not None:
                    made.result()
                for kind, path in files.items():
                    yield Document(recording.name, kind, path.read_text(encoding="utf-8"))
                number += 1
                if progress:
                    progress(number, len(recordings))
        finally:
            stopped.set()
            if pool:
                pool.shutdown(wait=False, cancel_futures=True)


def _ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """The items; so many more are taken than are given on."""
    taken: deque[T] = deque()
    for item in items:
        taken.append(item)
        if len(taken) > count:
            yield taken.popleft()
    yield from taken
