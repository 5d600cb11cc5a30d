"""Finished work, found by what it was made from."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from components.base.errors import MoodlineError
from components.base.files import atomic_path
from components.base.scratch import at_hand
from components.base.storage import Location, Url


class Cache:
    """Files in a folder, named by what they were made from; safe to delete at any time."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, kind: str, *key: Any, suffix: str = "", owner: str = "") -> Path:
        """Where the result of `kind` for `key` lies, or is to be written (with `atomic_path`).

        Args:
            key: everything that decides the result; anything JSON can hold.
            owner: whose it is, where that must be found again to be erased: one word.
        """
        digest = json_digest(key)
        folder = owned_folder(owner) if owner else digest[:2]
        return self.root / kind / folder / f"{digest}{suffix}"


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
    if kept and kept.is_file() and len(known := kept.read_text(encoding="utf-8")) == 64:
        return known
    with at_hand(url, state) as copy:
        digest = file_digest(copy)
    if kept:
        with suppress(OSError, MoodlineError), atomic_path(kept) as temporary:  # only a memory
            temporary.write_text(digest, encoding="utf-8")
    return digest


def tree_digest(folder: Path) -> str:
    """SHA-256 over the relative names and contents of all files in a folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return whole.hexdigest()
