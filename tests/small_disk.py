"""A disk that is really full: a tmpfs of a few megabytes, in a mount namespace of its own."""

import subprocess
from collections.abc import Sequence
from pathlib import Path


def on_small_disk(folder: Path, megabytes: int, command: Sequence[str | Path]) -> list[str]:
    """A command that sees a small disk at `folder`; nobody else does, and it goes with it.

    Needs no root where the kernel lets users have namespaces, as Debian's does.
    """
    mount = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    return [*namespace, f"{megabytes}m", str(folder), *map(str, command)]


def resize(folder: Path, megabytes: int) -> None:
    """Make the disk larger or smaller; for the command that runs on it."""
    subprocess.run(["mount", "-o", f"remount,size={megabytes}m", folder], check=True)


def fill(folder: Path) -> Path:
    """Write into a file until nothing more can be written; the file."""
    path = folder / "filled"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return path
