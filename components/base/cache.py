"""Finished work, found by what it was made from."""

import hashlib
import json
from pathlib import Path
from typing import Any


class Cache:
    """Files in a folder, named by what they were made from; safe to delete at any time."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, kind: str, *key: Any, suffix: str = "") -> Path:
        """Where the result of `kind` for `key` lies, or is to be written (with `atomic_path`).

        Args:
            key: everything that decides the result; anything JSON can hold.
        """
        digest = json_digest(key)
        return self.root / kind / digest[:2] / f"{digest}{suffix}"


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
