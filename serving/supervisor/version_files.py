"""The folders of versions: fetched from the registry, and exported into the model repository."""

import logging
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from components.base import InputError
from components.config import Settings, VersionSpeech, version_speech
from components.conversation import Seconds
from serving.lineup import Role, Served, versions_in_pointers
from serving.settings import HostSettings
from serving.triton.control import Golden, read_golden
from serving.triton.gpu import GRAPH
from serving.triton.repository import MODEL, drop_versions, export_version, serve_versions

logger = logging.getLogger(__name__)

OTHER_SPEECH = "it was made with other speech models than version {} in production"

REPLACE_SECONDS: Seconds = 0.5
"""Another copy takes less to replace a version's folder by a newer one."""


class VersionFiles:
    """Versions on disk.

    Args:
        repository: the model repository that the Tritons share.
        fetched: the folder of the versions' folders that were fetched from the registry.
        host: how Triton runs the model.
        settings: where this machine's speech models lie.
        profile: that the operator gave for them, as `version_speech` takes it.
    """

    def __init__(
        self, repository: Path, fetched: Path, host: HostSettings, settings: Settings, profile: str
    ) -> None:
        self._repository = repository
        self._fetched = fetched
        self._host = host
        self._settings = settings
        self._profile = profile
        self._apart: dict[int, str] = {}

    def speech(self, served: Served) -> VersionSpeech:
        """What a version is served with.

        Raises:
            InputError: as `version_speech`.
        """
        return version_speech(served.folder, self._profile)

    def apart(self, roles: Mapping[Role, Served]) -> dict[int, str]:
        """The versions on trial that cannot be tried, and why: what a service hears with is loaded
        once, for the version in production, and they were made with other speech models."""
        production, apart = roles["production"], dict[int, str]()
        for served in roles.values():
            if served.version == production.version:
                continue
            try:
                same = self.speech(served).step == self.speech(production).step
                why = "" if same else OTHER_SPEECH.format(production.version)
            except InputError as error:
                why = str(error)
            if why:
                apart[served.version] = why
                if self._apart.get(served.version) != why:
                    logger.warning("version %d takes no traffic: %s", served.version, why)
        self._apart = apart
        return dict(apart)

    def bring(self, served: Served) -> list[Golden]:
        """Write a version into the model repository; its golden clips.

        Raises:
            InputError: its folder is incomplete, or the speech models that it was made with are not
                those that are here.
        """
        try:
            return self._export(served)
        except (InputError, OSError):
            time.sleep(REPLACE_SECONDS)
            return self._export(served)

    def _export(self, served: Served) -> list[Golden]:
        self.speech(served).check_here(self._settings)
        export_version(served.folder, self._repository, served.version)
        return read_golden(served.folder)

    def configure(self, versions: Collection[int]) -> None:
        """Have the Tritons hold these versions from their next load on."""
        serve_versions(self._repository, versions, self._host)

    def delete_all_but(self, needed: Collection[int]) -> None:
        """Delete the folders of versions that neither we nor another service needs."""
        folders = (self._repository, self._fetched.parent)
        others = {version for folder in folders for version in versions_in_pointers(folder)}
        for folder in (self._repository / MODEL, self._repository / GRAPH, self._fetched):
            drop_versions(folder, {*needed, *others})
