"""Work on a corpus, one recording after the other: in shards, never twice, from where it stopped.

The verbs that listen to a corpus share this; each says what it makes of one recording.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.base import InputError, atomic_path
from components.base.cache import Cache
from components.conversation.types import Progress, Recording

WHOLE = (0, 1)
"""The shard that is the whole corpus."""


def shard_of(
    recordings: Sequence[Recording], index: int = 0, count: int = 1
) -> Sequence[Recording]:
    """Every `count`-th recording by name, from the `index`-th on.

    The shards 0 to `count` - 1 together are the corpus, in whatever order it was read, and differ
    by at most one recording.

    Raises:
        InputError: there is no such shard.
    """
    if not 0 <= index < count:
        raise InputError(f"there is no shard {index} of {count}: they are counted from 0")
    return sorted(recordings, key=lambda recording: recording.name)[index::count]


def work_through(
    recordings: Sequence[Recording],
    places: Mapping[str, Path],
    key: Callable[[Recording], Sequence[Any]],
    make: Callable[[Recording], Mapping[str, str]],
    *,
    suffix: str,
    cache: Cache,
    progress: Progress | None = None,
) -> None:
    """Make one file of each kind from each recording, `<place>/<recording><suffix>`.

    A recording whose files are there already is left: a run that was killed goes on at the first
    unfinished one. What was made before, in any folder, comes from the cache.

    Args:
        recordings: in the order of the work.
        places: for each kind of file the folder that it goes to, made if need be.
        key: everything that decides what is made of a recording, as `Cache.path` takes it.
        make: the text of each kind of file; called only for what is in no cache.
        suffix: of the files' names.
        cache: where finished work lies.
        progress: told how far it is.
    """
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    for number, recording in enumerate(recordings, start=1):
        paths = {kind: place / f"{recording.name}{suffix}" for kind, place in places.items()}
        if not all(path.exists() for path in paths.values()):
            names = key(recording)
            cached = {kind: cache.path(kind, *names, suffix=suffix) for kind in places}
            if not all(path.exists() for path in cached.values()):
                for kind, text in make(recording).items():
                    with atomic_path(cached[kind]) as temporary:
                        temporary.write_text(text, encoding="utf-8")
            for kind, path in paths.items():
                with atomic_path(path) as temporary:
                    shutil.copyfile(cached[kind], temporary)
        if progress:
            progress(number, len(recordings))
