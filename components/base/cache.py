"""Finished work, found by what it was made from."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from components.base.files import atomic_path
from components.base.scratch import at_hand
from components.base.storage import Location, Url
from components.base.storage_faults import MissingError


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
        cache: keeps the digest of an object, which is then fetched only if it changes.

    Raises:
        InputError, Unavailable: of an object; see `Url`.
    """
    if isinstance(path, Url):
        return _object_digest(path, cache)
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _object_digest(url: Url, cache: Cache | None) -> str:
    state = url.state()
    kept = cache and cache.path("digests", str(url), state.size, state.tag)
    if cache and kept and cache.has(kept) and len(known := kept.read_text("utf-8")) == 64:
        return known
    with at_hand(url, state) as copy:
        digest = file_digest(copy)
    if cache and kept:
        with suppress(OSError, InputError), cache.making(kept) as temporary:  # only a memory
            temporary.write_text(digest, encoding="utf-8")
    return digest


def tree_digest(folder: Path) -> str:
    """SHA-256 over the relative names and contents of all files in a folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return whole.hexdigest()
