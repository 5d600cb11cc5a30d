"""A backup's file: a tar that anybody can read, with a manifest of what has to be in it.

The manifest is the last file. So an archive that was cut short has none, and every digest in it is
of the bytes that were written, whatever happened to a file meanwhile.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

from components.base import InputError, Unavailable, atomic_path, check_writable

MANIFEST = "manifest.json"
FORMAT = 1
"""Of the archive; a newer one is refused."""

_BLOCK = 1 << 20

OnBytes = Callable[[int], None]
"""Told how many bytes have gone by since the last call."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in an archive.

    Attributes:
        moodline: the version that made it.
        made: when it was begun; nothing in it is older than what was there then.
        artifacts: URI of the folder that held a local registry's files; empty: there was none.
        files: SHA-256 of each file, by its name in the archive.
    """

    moodline: str
    made: datetime
    artifacts: str = ""
    files: dict[str, str] = field(default_factory=dict)


class ArchiveWriter:
    """Writes files into an archive and notes their digests."""

    def __init__(self, tar: tarfile.TarFile, on_bytes: OnBytes) -> None:
        self._tar, self._on_bytes = tar, on_bytes
        self._files: dict[str, str] = {}

    def add(self, name: str, path: Path) -> None:
        """Add a file as it is now.

        Raises:
            FileNotFoundError: it is gone; nothing was added.
            Unavailable: it became shorter while it was read.
        """
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            entry = _entry(name, about.st_size)
            entry.mtime, entry.mode = int(about.st_mtime), about.st_mode & 0o755 | 0o600
            hashed = _Hashed(file, self._on_bytes)
            try:
                self._tar.addfile(entry, hashed)
            except OSError as error:
                if error.errno is not None:
                    raise
                raise Unavailable(f"{path}: was changed while it was read; try again") from None
        self._files[name] = hashed.digest.hexdigest()

    def finish(self, made: datetime, artifacts: str) -> Manifest:
        """Write the manifest."""
        from importlib.metadata import version

        manifest = Manifest(version("moodline"), made, artifacts, self._files)
        content = {"format": FORMAT, **asdict(manifest), "made": made.isoformat()}
        text = json.dumps(content, indent=1, sort_keys=True).encode()
        self._tar.addfile(_entry(MANIFEST, len(text)), io.BytesIO(text))
        return manifest


class _Hashed:
    """A file that hashes what is read from it."""

    def __init__(self, file: IO[bytes], on_bytes: OnBytes) -> None:
        self._file, self._on_bytes = file, on_bytes
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        self._on_bytes(len(content))
        return content


@contextmanager
def new_archive(path: Path, on_bytes: OnBytes) -> Iterator[ArchiveWriter]:
    """Write an archive, whole or not at all; only its owner may read it.

    Raises:
        InputError: there is such a file already, or it cannot be made.
    """
    check_new_file(path)
    with atomic_path(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with (
            os.fdopen(descriptor, "wb") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            yield ArchiveWriter(tar, on_bytes)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())


def check_new_file(path: Path) -> None:
    """Refuse to write over a backup, or anything else.

    Raises:
        InputError: the file is there, or cannot be written.
    """
    if os.path.lexists(path) and not path.is_dir():
        raise InputError(f"{path}: is there already; name a new file")
    check_writable(path)


def check_archive(path: Path, on_bytes: OnBytes = lambda _: None) -> Manifest:
    """Read an archive to its end and hold every file against the manifest. Writes nothing.

    Raises:
        InputError: it is no backup, was cut short or damaged, holds what no backup holds, or is of
            a newer Moodline.
    """
    found: dict[str, str] = {}
    text = None
    with _opened(path) as tar:
        for entry in tar:
            if text is not None or entry.name in found:
                raise InputError(f"{path}: holds “{entry.name}” twice, or after its end")
            _check_entry(path, entry)
            file = tar.extractfile(entry)
            assert file is not None
            if entry.name == MANIFEST:
                text = file.read()
            else:
                hashed = _Hashed(file, on_bytes)
                while hashed.read(_BLOCK):
                    pass
                found[entry.name] = hashed.digest.hexdigest()
    if text is None:
        raise InputError(f"{path}: is no backup of Moodline, or was cut short: it has no manifest")
    manifest = _read_manifest(path, text)
    for name in sorted({*found, *manifest.files}):
        if found.get(name) != manifest.files.get(name):
            fault = "is missing" if name not in found else "is not what was written"
            raise InputError(f"{path}: is damaged: {name} {fault}; nothing was restored")
    return manifest


def extract(path: Path, into: Path, on_bytes: OnBytes) -> None:
    """Write the files of an archive that was checked below a folder."""
    with _opened(path) as tar:
        for entry in tar:
            _check_entry(path, entry)
            if entry.name == MANIFEST:
                continue
            file, target = tar.extractfile(entry), into / entry.name
            assert file is not None
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as copy:
                while content := file.read(_BLOCK):
                    copy.write(content)
                    on_bytes(len(content))
            target.chmod(entry.mode & 0o755 | 0o600)
            os.utime(target, (entry.mtime, entry.mtime))


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise InputError(
            f"{path}: is no backup of Moodline, or is damaged ({error}); nothing was restored"
        ) from None


def _entry(name: str, size: int) -> tarfile.TarInfo:
    """A file's head: of nobody, from 1970, until told otherwise."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _check_entry(path: Path, entry: tarfile.TarInfo) -> None:
    """Refuse what is no plain file, or would leave the folder.

    Python's own filter ("data") is not in every 3.11, and lets links and devices' names pass that
    no backup holds.
    """
    name = PurePosixPath(entry.name)
    plain = entry.isreg() and not name.is_absolute() and ".." not in name.parts
    if not plain or str(name) != entry.name or "\\" in entry.name or "\0" in entry.name:
        raise InputError(
            f"{path}: holds “{entry.name}”, which is no plain file inside a folder; it is no "
            "backup of Moodline, so nothing was restored"
        )


def _read_manifest(path: Path, text: bytes) -> Manifest:
    try:
        content = json.loads(text)
        if content["format"] > FORMAT:
            raise InputError(
                f"{path}: was made by Moodline {content['moodline']}, which is newer than this "
                "one; restore it with that version"
            )
        made = datetime.fromisoformat(content["made"]).astimezone(UTC)
        files = {str(name): str(digest) for name, digest in content["files"].items()}
        return Manifest(str(content["moodline"]), made, str(content["artifacts"]), files)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is no backup of Moodline: its manifest cannot be read ({error!r})"
        ) from None
