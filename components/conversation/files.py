"""Files that are written whole or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well.

    Works for a file and for a folder (the block makes either). After a failure nothing is left.

    Args:
        path: where the finished file or folder is to stand; an older one is replaced.

    Yields:
        The temporary path; its folder exists, itself it does not, its suffix is `path`'s.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        if path.is_dir() and not path.is_symlink():
            # A folder cannot be renamed over a full one: move the old one aside first.
            aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
            path.rename(aside)
            temporary.rename(path)
            shutil.rmtree(aside)
        else:
            temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)
