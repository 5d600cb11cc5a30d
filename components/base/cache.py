"""Finished work, found by what it was made from."""

import hashlib
import json
from pathlib import Path
from typing import Any


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


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(folder: Path) -> str:
    """SHA-256 over the relative names and contents of all files in a folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return whole.hexdigest()
