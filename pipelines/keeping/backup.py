"""A home becomes an archive while it is in use, and an archive a home.

    registry/mlflow.db      MLflow's database: versions, runs, the ledger of promotions
    registry/artifacts/…    its files: the versions' packages and their evidence
    databases/….db          log and feedback, jobs, the trigger's ledger
    log/key, log/audio/…    what recordings are named with, and the sound that was kept
    uploads/…               of the jobs
    signing/*.pub           whose signatures count; private.pem only where that was asked for

Databases come first: what they name is there already, and stays while it is copied.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from components.base import InputError, Schema, Unavailable, close_to_others, sqlite_path
from components.register import check_local_files, move_local_files
from pipelines.keeping.archive import (
    MANIFEST,
    Manifest,
    check_archive,
    check_new_file,
    extract,
    new_archive,
)
from pipelines.keeping.databases import copy_database, copy_sqlite, filled_database

REGISTRY = "registry/mlflow.db"
ARTIFACTS = "registry/artifacts"

_STAGING = ".restore"
_MEGABYTE = 1_000_000

OnProgress = Callable[[int, int], None]
"""Called with the megabytes that are done, and all of them."""


@dataclass(frozen=True, slots=True)
class Tables:
    """A database of Moodline's.

    Attributes:
        name: in the archive.
        title: whose it is, for errors.
        url: SQLAlchemy's.
        schema: its tables, which are kept.
    """

    name: str
    title: str
    url: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a home.

    Attributes:
        name: in the archive.
        patterns: of the files in it that are kept.
        complete: whether a file that is deleted meanwhile makes the backup useless.
    """

    name: str
    path: Path
    patterns: tuple[str, ...] = ("**/*",)
    complete: bool = False

    def files(self) -> Iterator[tuple[str, Path]]:
        """What is in it now: each file's name in the archive, and its path."""
        found = {path for pattern in self.patterns for path in self.path.glob(pattern)}
        for path in sorted(found):
            if path.is_file():
                yield f"{self.name}/{path.relative_to(self.path).as_posix()}", path


@dataclass(frozen=True, slots=True)
class Home:
    """Where everything that is kept lies.

    Attributes:
        root: the home.
        registry: MLflow's SQLite file, and the folder of its files, or None where they are in an
            object store; None: it lies elsewhere.
    """

    root: Path
    registry: tuple[Path, Path | None] | None
    databases: tuple[Tables, ...]
    folders: tuple[Folder, ...]

    def all_folders(self) -> tuple[Folder, ...]:
        """The registry's files, then the others."""
        if self.registry is None or self.registry[1] is None:
            return self.folders
        return (Folder(ARTIFACTS, self.registry[1], complete=True), *self.folders)


def back_up(home: Home, archive: Path, on_progress: OnProgress = lambda *_: None) -> Manifest:
    """Write all that is kept of a home into one file, which only its owner can read.

    Others may go on writing: each database is as one moment had it.

    Raises:
        InputError: the file is there or cannot be made, the home holds nothing, a database is
            damaged, or the registry's files lie elsewhere.
        Unavailable: a database does not answer, or a file was deleted or changed meanwhile.
    """
    check_new_file(archive)
    made = datetime.now(UTC)
    root = archive.resolve().parent
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".moodline-backup-", dir=root) as name:
        copies: list[tuple[str, Path]] = []
        if home.registry and home.registry[0].exists():
            copies.append((REGISTRY, Path(name) / "mlflow.db"))
            copy_sqlite(home.registry[0], copies[-1][1])
            if home.registry[1] is not None:
                check_local_files(copies[-1][1], home.registry[1])
        for number, tables in enumerate(home.databases):
            copy = Path(name) / f"{number}.db"
            if copy_database(tables.url, tables.title, tables.schema, copy):
                copies.append((tables.name, copy))
        listed = [(folder, *file) for folder in home.all_folders() for file in folder.files()]
        if not copies and not listed:
            raise InputError(f"{home.root}: holds nothing to back up")
        size = sum(path.stat().st_size for _, path in copies)
        for _, _, path in listed:
            with suppress(FileNotFoundError):
                size += path.stat().st_size
        with new_archive(archive, _counted(on_progress, size)) as writer:
            for name_, path in copies:
                writer.add(name_, path)
            for folder, name_, path in listed:
                try:
                    writer.add(name_, path)
                except FileNotFoundError:
                    if folder.complete:
                        raise Unavailable(f"{path}: was deleted meanwhile; try again") from None
            files = home.registry[1] if home.registry else None
            return writer.finish(made, files.resolve().as_uri() if files else "")


def restore(archive: Path, home: Home, on_progress: OnProgress = lambda *_: None) -> Manifest:
    """Fill an empty home from an archive: all of it, or nothing.

    Raises:
        InputError: it is no whole backup (see `check_archive`), or the home is not empty.
        Unavailable: a database does not answer.
    """
    size = 2 * (archive.stat().st_size if archive.is_file() else 0)
    counted = _counted(on_progress, size)
    manifest = check_archive(archive, counted)
    _check_names(archive, manifest, home)
    _check_empty(home)
    close_to_others(home.root)
    with _staging(home.root) as staging:
        extract(archive, staging, counted)
        moves: list[tuple[Path, Path]] = []
        if home.registry and (staging / REGISTRY).exists():
            files = home.registry[1]
            if files is not None and manifest.artifacts:
                move_local_files(staging / REGISTRY, manifest.artifacts, files.resolve().as_uri())
            moves.append((staging / REGISTRY, home.registry[0]))
        with _undone_on_failure() as placed, ExitStack() as transactions:
            for tables in home.databases:
                path, saved = sqlite_path(tables.url), staging / tables.name
                if path is not None:
                    moves.append((saved, path))
                elif saved.exists():
                    rows = filled_database(tables.url, tables.title, tables.schema, saved)
                    transactions.enter_context(rows)
            for folder in home.all_folders():
                saved_files = (staging / folder.name).glob("*")
                moves += [(path, folder.path / path.name) for path in saved_files]
            for source, goal in moves:
                if source.exists():
                    goal.parent.mkdir(parents=True, exist_ok=True)
                    placed.append(goal)
                    shutil.move(source, goal)
    return manifest


def _counted(on_progress: OnProgress, total: int) -> Callable[[int], None]:
    """Adds bytes up, and tells of megabytes."""
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        on_progress(min(done, total) // _MEGABYTE, total // _MEGABYTE)

    return add


def _check_names(archive: Path, manifest: Manifest, home: Home) -> None:
    """Refuse an archive with something in it that has no place here."""
    known = {REGISTRY, MANIFEST, *(tables.name for tables in home.databases)}
    places = tuple(f"{folder.name}/" for folder in home.all_folders())
    if manifest.artifacts and home.registry and home.registry[1] is None:
        raise InputError(
            f"{archive}: holds a registry with its files, and MOODLINE_MLFLOW_ARTIFACTS names a "
            "store; restore it without that setting"
        )
    for name in manifest.files:
        if home.registry is None and name.startswith("registry/"):
            raise InputError(
                f"{archive}: holds a registry, and MOODLINE_MLFLOW_URI names another one; restore "
                "it without that setting"
            )
        if name not in known and not name.startswith(places):
            raise InputError(f"{archive}: holds {name}, which has no place in a home")
    paths = [sqlite_path(tables.url) for tables in home.databases]
    for path in paths:
        if path is not None and paths.count(path) > 1:
            raise InputError(f"{path}: two databases cannot be restored into one file; name two")


def _check_empty(home: Home) -> None:
    """Refuse a home that holds anything of what a backup holds."""
    files = [sqlite_path(tables.url) for tables in home.databases]
    files += [home.registry[0]] if home.registry else []
    found = next((path for path in files if path is not None and os.path.lexists(path)), None)
    found = found or next(
        (path for folder in home.all_folders() for _, path in folder.files()), None
    )
    if found is not None:
        raise InputError(
            f"{found}: is there already; restore into an empty home (MOODLINE_HOME), so that "
            "nothing is mixed or lost"
        )


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """A folder in the home that is gone after the block; a killed restore may have left one."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # one restore at a time
        folder = root / _STAGING
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


@contextmanager
def _undone_on_failure() -> Iterator[list[Path]]:
    """Yields a list of what is put in place; if the block fails, all of it is removed again."""
    placed: list[Path] = []
    try:
        yield placed
    except BaseException:
        for path in placed:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise
