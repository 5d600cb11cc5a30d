"""Copies that retraining makes of recordings on its own, and how they are erased.

    runs/trigger-…/feedback       the corpus that the trigger exported
    cache/corpora                 that corpus, joined with the labelled one
    runs/…                        what the run's steps made of it: words, speakers, turns, examples
    cache/…/of-<recording>        finished work on such a recording
    a cluster's artifacts         see `components.traffic.artifacts`

A retraining that reads such copies holds a lock. What it still writes of an erased recording is
erased at its end. Each file is taken by itself: one that cannot be changed now keeps no other from
being erased, and is tried again.
"""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base import MoodlineError, file_digest, owned_folder
from components.conversation import FEEDBACK, SOURCES, Seconds
from components.conversation.manifest import NAME as MANIFEST
from components.traffic.artifacts import Artifacts
from components.traffic.one_by_one import OneByOne
from components.traffic.rewriting import is_parquet, older, read_sources, rewrite

logger = logging.getLogger(__name__)

_LOCK = "feedback.lock"
_ERASED = "feedback.erased"
"""The file with the names of which not all is erased yet, one a line."""

_CACHED = (".json", ".rttm")

_DAY: Seconds = 86_400.0


@dataclass(frozen=True, slots=True)
class Copies:
    """Where retraining leaves copies of recordings.

    Attributes:
        runs: the folder of pipeline runs.
        cache: of finished work.
        artifacts: of a cluster's pipelines, in an object store.
    """

    runs: Path
    cache: Path
    artifacts: Artifacts | None = None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Read and make copies in this block; what is erased meanwhile is erased again after it."""
        lock = self._lock(fcntl.LOCK_SH)
        try:
            yield
        finally:
            os.close(lock)
            try:
                self.finish()
            except (OSError, MoodlineError) as error:  # the service tries again every hour
                logger.error("not all that was erased is gone from this retraining: %s", error)

    def note(self, request_ids: Collection[str], recordings: Collection[str]) -> None:
        """Note what is to be erased, so that it will be, also if `erase` fails or is interrupted.

        Args:
            request_ids, recordings: as of `erase`.

        Raises:
            OSError, InputError, Unavailable: it cannot be noted; ask again.
        """
        names = _names(request_ids, recordings)
        if self.artifacts:
            self.artifacts.note(names)
        if names and self._has_any():
            self._note(names)

    def erase(self, request_ids: Collection[str], recordings: Collection[str]) -> int:
        """Erase every copy of recordings; how many files were deleted or changed.

        Args:
            request_ids: of the answers about them.
            recordings: as they stand in the log.

        Raises:
            InputError, Unavailable: some copies cannot be erased now. All others are, and these
                will be: `sweep` and `finish` try again.
        """
        names, steps = _names(request_ids, recordings), OneByOne()
        known = {
            name
            for sources in self._sources(steps)
            for name, source in sources.items()
            if source["recording"] in recordings
        }
        changed = steps.each(self._erase, [names | known])
        if self.artifacts:
            artifacts = self.artifacts
            changed += steps.each(lambda all: artifacts.erase(all, recordings), [names | known])
        steps.tell()
        return sum(changed)

    def sweep(self, content_days: float) -> int:
        """Erase the copies of sound that is older than that; how many files were concerned.

        Raises:
            InputError, Unavailable: as of `erase`.
        """
        oldest, steps = time.time() - content_days * _DAY, OneByOne()
        # A copy of an object has the age of the export, and is told here how old the sound is.
        names = {name for sources in self._sources(steps) for name in older(sources, oldest)}
        for path in self._files(f"{FEEDBACK}-*"):
            with suppress(FileNotFoundError):
                # The copy is a link to the sound that was kept, or has the age of the export.
                if path.parent.name == "audio" and path.stat().st_mtime < oldest:
                    names.add(path.stem)
        changed = steps.each(self._erase, [names])
        if self.artifacts:
            changed += steps.each(self.artifacts.sweep, [content_days])
        steps.tell()
        return sum(changed)

    def finish(self) -> None:
        """Erase what a retraining still wrote of recordings that were erased meanwhile."""
        if names := self._noted():
            _scrub((self.runs, self.cache), names)
            with suppress(BlockingIOError):  # another retraining goes on
                lock = self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
                (self.cache / _ERASED).unlink(missing_ok=True)
                os.close(lock)

    def _erase(self, names: Collection[str]) -> int:
        if not names or not self._has_any():
            return 0
        self._note(names)
        all_names = self._noted().union(names)
        try:
            lock = self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _scrub((self.runs, self.cache), all_names)
        try:
            changed = _scrub((self.runs, self.cache), all_names)
            (self.cache / _ERASED).unlink(missing_ok=True)
            return changed
        finally:
            os.close(lock)

    def _has_any(self) -> bool:
        return (self.cache / _LOCK).exists() or any(self._files(f"{FEEDBACK}-*"))

    def _note(self, names: Collection[str]) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / _ERASED).open("a", encoding="utf-8") as noted:
            noted.writelines(f"{name}\n" for name in names)

    def _noted(self) -> set[str]:
        with suppress(FileNotFoundError):
            return set((self.cache / _ERASED).read_text(encoding="utf-8").split("\n")) - {""}
        return set()

    def _sources(self, steps: OneByOne) -> list[dict[str, Mapping[str, Any]]]:
        return steps.each(lambda p: read_sources(p.read_bytes(), p), self._files(SOURCES))

    def _lock(self, kind: int) -> int:
        self.cache.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.cache / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, kind)
        except BlockingIOError:
            os.close(descriptor)
            raise
        return descriptor

    def _files(self, pattern: str) -> Iterator[Path]:
        for root in (self.runs, self.cache / "corpora"):
            yield from root.rglob(pattern)


def keep_only(cache: Path, names: Collection[str]) -> int:
    """Delete the finished work on every recording from traffic that is not named.

    Steps of a cluster share a cache that the service does not see. What the log no longer holds,
    because it was erased or has grown too old, is no longer chosen; so the next choice tells.

    Args:
        cache: the folder of finished work.
        names: of the recordings that may still be trained on.

    Returns:
        How many folders were deleted.
    """
    kept = {owned_folder(name) for name in names}
    gone = [f for f in cache.glob(f"*/{owned_folder(FEEDBACK)}-*") if f.name not in kept]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return len(gone)


def mixed_name(request_id: str, recording: str) -> str:
    """The name of an exported recording whose request's id was given to another recording, too."""
    return f"{FEEDBACK}-{request_id}-{recording[:8]}"


def _names(request_ids: Collection[str], recordings: Collection[str]) -> set[str]:
    """What recordings may be called in an export, by the requests that the log has of them."""
    names = {f"{FEEDBACK}-{request_id}" for request_id in request_ids}
    return names | {mixed_name(request, known) for request in request_ids for known in recordings}


def _scrub(roots: Collection[Path], names: Collection[str]) -> int:
    """Delete or rewrite each file below some folders that holds one of these recordings.

    Raises:
        Unavailable: some cannot be changed; all others are.
    """
    made: set[str] = set()
    files_apart = OneByOne()

    def scrub(path: Path) -> int:
        if path.stem not in names:
            listed = path.name in (MANIFEST, SOURCES) or is_parquet(path)
            return listed and rewrite(path, names)
        if path.suffix in _CACHED:
            made.add(file_digest(path))
        path.unlink()
        return 1

    changed = 0
    folders = {owned_folder(name) for name in names}
    for root in roots:
        for where, inside, files in os.walk(root):
            for folder in folders.intersection(inside):
                changed += sum(path.is_file() for path in Path(where, folder).rglob("*"))
                shutil.rmtree(Path(where, folder), ignore_errors=True)
                inside.remove(folder)
            changed += sum(files_apart.each(scrub, [Path(where, file) for file in files]))
    changed += sum(files_apart.each(lambda root: _delete_cached(root, made), roots if made else ()))
    files_apart.tell()
    return changed


def _delete_cached(root: Path, digests: Collection[str]) -> int:
    """Version 0.1 cached under a digest alone: a result is known by its content, which a run has.

    States that it cached of the recording cannot be told from others: all of that form go.
    """
    cached = (path for path in root.glob("*/??/*.*") if path.suffix in _CACHED)
    found = [path for path in cached if file_digest(path) in digests]
    if found:
        found += root.glob("states/??/*")
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
