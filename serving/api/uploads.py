"""Where the uploads of jobs lie until the jobs have ended."""

import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

from components.base import Location, MissingError, Url
from components.conversation import Seconds

ORPHAN_SECONDS: Seconds = 600.0
"""The age at which an upload without a row is deleted; an upload is written before its row."""


class UploadFolder:
    """The folder of uploads that copies of the service share, on a disk or in an object store; on a
    disk it is made when first written to."""

    def __init__(self, folder: Location) -> None:
        self._folder = folder / "uploads"

    def put(self, job: str, upload: IO[bytes]) -> None:
        """Copy an upload into the folder.

        Raises:
            Unavailable: the store does not answer.
        """
        upload.seek(0)
        if isinstance(self._folder, Url):
            return (self._folder / job).put_stream(upload)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / job).open("wb") as copy:
            shutil.copyfileobj(upload, copy, 1 << 20)
        return None

    def open(self, job: str) -> IO[bytes]:
        """Open an upload to read it; of an object store, a copy of it on this machine.

        Raises:
            FileNotFoundError: it is not there.
            Unavailable: the store does not answer.
        """
        place = self._folder / job
        if isinstance(place, Path):
            return place.open("rb")
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - who asked for it closes it
        try:
            place.fetch(copy)
            copy.seek(0)
        except BaseException as error:
            copy.close()
            if isinstance(error, MissingError):
                raise FileNotFoundError(str(error)) from None
            raise
        return copy

    def delete(self, job: str) -> None:
        """Delete an upload, if it is there.

        Raises:
            Unavailable: the store does not answer.
        """
        place = self._folder / job
        if isinstance(place, Url):
            place.delete()
        else:
            place.unlink(missing_ok=True)

    def delete_orphans(self, needed: set[str]) -> None:
        """Delete old uploads of no job: a process died between the file and its row."""
        before = time.time() - ORPHAN_SECONDS
        if isinstance(self._folder, Url):
            for place in self._folder.files():
                with contextlib.suppress(MissingError):
                    if place.name not in needed and place.state().written < before:
                        place.delete()
            return
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another copy was faster
                if path.name not in needed and path.stat().st_mtime < before:
                    path.unlink()
