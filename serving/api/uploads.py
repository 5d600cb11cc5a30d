"""Where the uploads of jobs lie until the jobs have ended."""

import contextlib
import shutil
import time
from pathlib import Path
from typing import IO

from components.conversation import Seconds

ORPHAN_SECONDS: Seconds = 600.0
"""The age at which an upload without a row is deleted; an upload is written before its row."""


class UploadFolder:
    """The folder of uploads that copies of the service share; made when first written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "uploads"

    def path(self, job: str) -> Path:
        """Where a job's upload lies."""
        return self._folder / job

    def put(self, job: str, upload: IO[bytes]) -> None:
        """Copy an upload into the folder."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        upload.seek(0)
        with self.path(job).open("wb") as copy:
            shutil.copyfileobj(upload, copy, 1 << 20)

    def delete(self, job: str) -> None:
        """Delete an upload, if it is there."""
        self.path(job).unlink(missing_ok=True)

    def delete_orphans(self, needed: set[str]) -> None:
        """Delete old uploads of no job: a process died between the file and its row."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another copy was faster
                if path.name not in needed and path.stat().st_mtime < time.time() - ORPHAN_SECONDS:
                    path.unlink()
