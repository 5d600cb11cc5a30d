"""The pointer of copies that share no folder: it lies in the object store, beside the repository.

The copy that steers writes it there. Each other copy brings the versions that it names from the
registry, and then changes its own pointer, which its requests follow.
"""

import logging
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from components.base import InputError, MissingError, Url, tree_digest
from components.config import Settings
from components.conversation import Seconds
from serving.lineup import Lineup, Served, parse_pointer, pointer_text, write_pointer
from serving.supervisor.registry_follower import check_trusted, fetch, fetched_folder
from serving.triton.repository import drop_versions
from serving.triton.repository_store import prepare_repository

logger = logging.getLogger(__name__)

LOOK_SECONDS: Seconds = 1.0
"""Between two looks at the store."""


class SharedPointer:
    """The pointer in the store, and this copy's own that follows it.

    Args:
        url: the one in the store.
        pointer: this copy's own.
        settings: where versions are fetched from, and to.
    """

    def __init__(self, url: Url, pointer: Path, settings: Settings) -> None:
        self._url = url
        self._pointer = pointer
        self._settings = settings
        self._seen: bytes | None = None
        self._looked_at = -LOOK_SECONDS

    def prepare(self) -> None:
        """See that Triton can start on the repository, if nothing was served yet.

        Raises:
            Unavailable: the store does not answer.
        """
        prepare_repository(self._url.parent)

    def publish(self, lineup: Lineup[Served]) -> None:
        """Tell the other copies what is served from now on.

        Raises:
            InputError: a version's folder is incomplete, or there is no such bucket.
            Unavailable: the store does not answer.
        """
        text = pointer_text(lineup).encode()
        self._url.put_bytes(text)

    def follow(self, needed: Collection[int] = (), *, at_once: bool = False) -> None:
        """Serve what the pointer in the store names, once it is here.

        Args:
            needed: other versions whose folders are kept.
            at_once: look, however short ago the last look was.

        Raises:
            MoodlineError: the store or the registry does not answer, or a version cannot be
                fetched; then what was served before stays so.
        """
        if not at_once and time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        try:
            text = self._url.read_bytes()
        except MissingError:
            return  # nothing was served yet
        if text == self._seen and self._pointer.exists():
            return
        shared = parse_pointer(text, str(self._url))
        here = {version: self._bring(served) for version, served in shared.versions().items()}
        roles = {role: here[served.version] for role, served in shared.roles.items()}
        write_pointer(self._pointer, replace(shared, roles=roles))
        self._seen = text
        logger.info("version %d is in production", shared.production.version)
        drop_versions(fetched_folder(self._settings), {*needed, *shared.versions()})

    def _bring(self, served: Served) -> Served:
        """A version with the folder that it has here, which a trusted key has signed."""
        folder = fetched_folder(self._settings) / str(served.version)
        if served.signature and folder.is_dir() and tree_digest(folder) == served.digest:
            check_trusted(served, self._settings)
            return replace(served, folder=folder)
        fetched = fetch(served.version, self._settings)
        if served.digest not in ("", fetched.digest):
            raise InputError(
                f"version {served.version}: the registry's is another one than {self._url} names"
            )
        return fetched
