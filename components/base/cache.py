"""Finished work, found by what it was made from."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from components.base.files import atomic_path
from components.base.scratch import at_hand
from components.base.storage import Location, Url
from components.base.storage_faults import MissingError

LARGE = 1 << 20
"""Bytes of a file whose digest is kept: a smaller one is as soon read."""

SETTLED_NS = 2_000_000_000
"""So old a change must be: clocks of file systems tick in up to two seconds."""


class Cache:
    """Files in a folder, named by what they were made from; safe to delete at any time.

    Behind the folder may stand an object store, which other machines share: what the folder lacks
    is fetched from there, and what is made goes there, too. What has an owner does not: it must be
    found again to be erased.

    Args:
        root: the folder.
        store: a folder of the object store.
    """

    def __init__(self, root: Path, store: Url | None = None) -> None:
        self.root, self.store = Path(root), store

    def path(self, kind: str, *key: Any, suffix: str = "", owner: str = "") -> Path:
        """Where the result of `kind` for `key` lies once `has` says so, or is made with `making`.

        Args:
            key: everything that decides the result; anything JSON can hold.
            owner: whose it is, where that must be found again to be erased: one word.
        """
        digest = json_digest(key)
        folder = owned_folder(owner) if owner else digest[:2]
        return self.root / kind / folder / f"{digest}{suffix}"

    def has(self, path: Path) -> bool:
        """Whether a file of `path` is in the folder, after a look into the store.

        Raises:
            Unavailable: the store does not answer.
        """
        stored = self._stored(path)
        if path.exists() or stored is None:
            return path.exists()
        with suppress(MissingError):
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                stored.fetch(file)
            return True
        return False

    @contextmanager
    def making(self, path: Path) -> Iterator[Path]:
        """As `atomic_path`; the finished file goes to the store, too, whole or not at all.

        Raises:
            Unavailable: the store does not take it; in the folder it stays.
        """
        with atomic_path(path) as temporary:
            yield temporary
        if stored := self._stored(path):
            stored.put(path)

    def parts(self, path: Path) -> list[Path]:
        """The files of a result that grows, named `<path>-<part>`: here, after a look into the
        store.

        Raises:
            Unavailable: the store does not answer.
        """
        names = {part.name for part in path.parent.glob(f"{path.name}-*")}
        if stored := self._stored(path):
            names.update(part.name for part in stored.parent.files(f"{path.name}-"))
        return [part for name in sorted(names) if self.has(part := path.with_name(name))]

    def drop(self, path: Path) -> None:
        """Delete a file here and in the store, if it is there."""
        path.unlink(missing_ok=True)
        if stored := self._stored(path):
            stored.delete()

    def _stored(self, path: Path) -> Url | None:
        if self.store is None or path.parent.name.startswith(owned_folder("")):
            return None
        return self.store / path.relative_to(self.root).as_posix()


def owned_folder(owner: str) -> str:
    """The name of the folders that hold what is cached of an owner, one in each kind's."""
    return f"of-{owner}"


def json_digest(value: Any) -> str:
    """SHA-256 (32 hexadecimal digits of it) of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_digest(path: Location, cache: Cache | None = None) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; the same wherever it lies.

    Args:
        cache: keeps the digest of an object, which is then fetched only if it changes, and of a
            large file, which is then read only if its size or its time of change is another.

    Raises:
        InputError, Unavailable: of an object; see `Url`.
    """
    if isinstance(path, Url):
        return _object_digest(path, cache)
    with Path(path).open("rb") as file:
        state = os.fstat(file.fileno())
        # What was just written may change again without another time.
        changed = max(state.st_mtime_ns, state.st_ctime_ns)
        settled = time.time_ns() - changed > SETTLED_NS
        if cache is None or state.st_size < LARGE or not settled:
            return _digest(file)
        # It is a file of this machine: no other one is told.
        here = Cache(cache.root)
        about = (str(Path(path).resolve()), state.st_ino, state.st_size, changed)
        return _kept(here, here.path("digests", *about), lambda: _digest(file))


def _digest(file: BufferedReader) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _kept(cache: Cache, path: Path, compute: Callable[[], str]) -> str:
    """A digest that the cache has, or gets."""
    if cache.has(path) and len(known := path.read_text("utf-8")) == 64:
        return known
    digest = compute()
    with suppress(OSError, InputError), cache.making(path) as temporary:  # only a memory
        temporary.write_text(digest, encoding="utf-8")
    return digest


def _object_digest(url: Url, cache: Cache | None) -> str:
    state = url.state()

    def compute() -> str:
        with at_hand(url, state) as copy:
            return file_digest(copy)

    if cache is None:
        return compute()
    return _kept(cache, cache.path("digests", str(url), state.size, state.tag), compute)


def tree_digest(folder: Path) -> str:
    """SHA-256 over the relative names and contents of all files in a folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return whole.hexdigest()
