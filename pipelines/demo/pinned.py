"""Files of packages, held to the digests of those that were inspected."""

from collections.abc import Mapping
from pathlib import Path

from components.base import InputError, file_digest


def check(folder: Path, files: Mapping[str, str]) -> None:
    """Hold files to their SHA-256.

    Args:
        folder: where they lie.
        files: the digest of each, by its name in the folder.

    Raises:
        InputError: one is missing or is another.
    """
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: no such file; run `make setup` to install the packages")
        actual = file_digest(path)
        if actual != digest:
            raise InputError(
                f"{path}: its SHA-256 is {actual}, not {digest}: it is not the model that this"
                " version was made for, and is not loaded; run `make setup`"
            )
