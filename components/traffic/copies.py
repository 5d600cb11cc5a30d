"""Copies that retraining makes of recordings on its own, and how they are erased.

    runs/trigger-…/feedback       the corpus that the trigger exported
    cache/corpora                 that corpus, joined with the labelled one
    runs/…                        what the run's steps made of it: words, speakers, turns, examples
    cache/…/of-<recording>        finished work on such a recording
    a cluster's artifacts         see `components.traffic.artifacts`

A retraining that reads such copies holds a lock. What it still writes of an erased recording is
erased at its end.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from components.base import file_digest, owned_folder, read_json
from components.conversation import FEEDBACK, SOURCES, Seconds
from components.conversation.manifest import NAME as MANIFEST
from components.traffic.artifacts import Artifacts
from components.traffic.rewriting import is_parquet, rewrite

_LOCK = "feedback.lock"
_ERASED = "feedback.erased"
"""The file with the names that were erased while a retraining went on, one a line."""

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
            self.finish()

    def erase(self, request_ids: Collection[str], recordings: Collection[str]) -> int:
        """Erase every copy of recordings; how many files were deleted or changed.

        Args:
            request_ids: of the answers about them.
            recordings: as they stand in the log.
        """
        names = {f"{FEEDBACK}-{request_id}" for request_id in request_ids}
        names |= {mixed_name(request, known) for request in request_ids for known in recordings}
        names |= {
            name
            for path in self._files(SOURCES)
            for name, source in read_json(path).items()
            if source["recording"] in recordings
        }
        there = self.artifacts.erase(names, recordings) if self.artifacts else 0
        return there + self._erase(names)

    def sweep(self, content_days: float) -> int:
        """Erase the copies of sound that is older than that; how many files were concerned."""
        oldest = time.time() - content_days * _DAY
        names = set()
        for path in self._files(f"{FEEDBACK}-*"):
            with suppress(FileNotFoundError):
                # The copy is a link to the sound that was kept, or has the age of the export.
                if path.parent.name == "audio" and path.stat().st_mtime < oldest:
                    names.add(path.stem)
        there = self.artifacts.sweep(content_days) if self.artifacts else 0
        return there + self._erase(names)

    def finish(self) -> None:
        """Erase what a retraining still wrote of recordings that were erased meanwhile."""
        late = self.cache / _ERASED
        with suppress(FileNotFoundError):
            names = set(late.read_text(encoding="utf-8").split("\n")) - {""}
            _scrub((self.runs, self.cache), names)
            with suppress(BlockingIOError):  # another retraining goes on
                lock = self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
                late.unlink(missing_ok=True)
                os.close(lock)

    def _erase(self, names: Collection[str]) -> int:
        none = not (self.cache / _LOCK).exists() and not any(self._files(f"{FEEDBACK}-*"))
        if not names or none:
            return 0
        try:
            lock = self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with (self.cache / _ERASED).open("a", encoding="utf-8") as late:
                late.writelines(f"{name}\n" for name in names)
            return _scrub((self.runs, self.cache), names)
        try:
            return _scrub((self.runs, self.cache), names)
        finally:
            os.close(lock)

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


def mixed_name(request_id: str, recording: str) -> str:
    """The name of an exported recording whose request's id was given to another recording, too."""
    return f"{FEEDBACK}-{request_id}-{recording[:8]}"


def _scrub(roots: Collection[Path], names: Collection[str]) -> int:
    """Delete or rewrite each file below some folders that holds one of these recordings."""
    changed, made = 0, set()
    folders = {owned_folder(name) for name in names}
    for root in roots:
        for where, inside, files in os.walk(root):
            for folder in folders.intersection(inside):
                changed += sum(path.is_file() for path in Path(where, folder).rglob("*"))
                shutil.rmtree(Path(where, folder), ignore_errors=True)
                inside.remove(folder)
            for path in (Path(where, file) for file in files):
                if path.stem in names:
                    with suppress(FileNotFoundError):
                        if path.suffix in _CACHED:
                            made.add(file_digest(path))
                        path.unlink()
                        changed += 1
                elif path.name in (MANIFEST, SOURCES) or is_parquet(path):
                    with suppress(FileNotFoundError):
                        changed += rewrite(path, names)
    return changed + sum(_delete_cached(root, made) for root in roots if made)


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
