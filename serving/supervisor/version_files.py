"""The folders of versions: fetched from the registry, and exported into the model repository.

Where the repository lies in an object store, the export is made on this machine and published.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from components.base import InputError
from components.config import (
    ServingSettings,
    Settings,
    VersionSpeech,
    version_serving,
    version_speech,
)
from components.conversation import Seconds
from serving.lineup import Role, Served, versions_in_pointers
from serving.settings import HostSettings
from serving.triton.control import Golden, TritonControl, read_golden
from serving.triton.gpu import drop_broken_engine, drop_engines, graph_model
from serving.triton.repository import (
    MIN_AGE_SECONDS,
    MODEL,
    drop_versions,
    export_version,
    serve_versions,
)
from serving.triton.repository_store import check_repository, drop_published, publish

logger = logging.getLogger(__name__)

OTHER_SPEECH = "it was made with other speech models than version {} in production"

REPLACE_SECONDS: Seconds = 0.5
"""Another copy takes less to replace a version's folder by a newer one."""


class VersionFiles:
    """Versions on disk.

    Attributes:
        graphs: the models in Triton that are the configured versions' graphs; none without a GPU.

    Args:
        repository: the model repository that the Tritons share.
        fetched: the folder of the versions' folders that were fetched from the registry.
        host: how Triton runs the model.
        settings: where this machine's speech models lie.
        profile: that the operator gave for them, as `version_speech` takes it.
        check_leads: raises where this copy may steer no more; asked before each change that others
            see.
    """

    def __init__(
        self,
        repository: Path,
        fetched: Path,
        host: HostSettings,
        settings: Settings,
        profile: str,
        check_leads: Callable[[], None] = lambda: None,
    ) -> None:
        self._repository = repository
        self._fetched = fetched
        self._host = host
        self._settings = settings
        self._profile = profile
        self._check_leads = check_leads
        self._store = settings.shared_repository
        self._apart: dict[int, str] = {}
        self._serving: dict[int, ServingSettings] = {}
        self._release = ""
        self.graphs: list[str] = []

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
        return self.golden(served)

    def golden(self, served: Served) -> list[Golden]:
        """A version's golden clips, with the tolerance of the precision that it is served in.

        Raises:
            InputError: it has none, or it does not say what precision that is.
        """
        serving = version_serving(served.folder) if self._host.gpu else ServingSettings()
        self._serving[served.version] = serving
        return read_golden(served.folder, serving)

    def restore(self, served: Served) -> list[Golden]:
        """As `golden`, of a version that another copy brought; its export is here then, too.

        Raises:
            InputError: as `golden`, or its folder is incomplete.
        """
        if self._store is not None:
            export_version(served.folder, self._repository, served.version)
        return self.golden(served)

    def restore_fetched(self, number: int) -> list[Golden]:
        """As `restore`, of a version of which only the number is known; its export is here then.

        Raises:
            InputError: as `restore`, or it was not fetched here.
        """
        served = Served(number, self._fetched / str(number))
        export_version(served.folder, self._repository, number)
        return self.golden(served)

    def configure(self, versions: Collection[int], control: TritonControl | None = None) -> None:
        """Have the Tritons hold these versions from their next load on.

        Args:
            versions: brought before, or their golden clips read.
            control: the Triton that is loaded next: the engines must be of its release.

        Raises:
            NotReadyError: that Triton does not answer.
            Unavailable: the object store does not answer.
        """
        self._check_leads()
        if self._host.gpu and control:
            self._release = control.release()
        serve_versions(self._repository, versions, self._host, self._serving, self._release)
        self.graphs = [graph_model(number) for number in versions] if self._host.gpu else []
        if self._store is not None:  # the configuration that names the graphs comes last
            for graph in self.graphs:
                publish(self._repository, self._store, graph, [1])
            publish(self._repository, self._store, MODEL, versions)

    def drop_broken_engine(self, why: str) -> bool:
        """As `serving.triton.gpu.drop_broken_engine`."""
        return drop_broken_engine(why, self._host)

    def check_store(self) -> None:
        """See that the object store answers, if the repository lies in one.

        Raises:
            Unavailable: it does not.
        """
        if self._store is not None:
            check_repository(self._store)

    def delete_all_but(self, needed: Collection[int]) -> None:
        """Delete the folders of versions that neither we nor another service needs."""
        self._check_leads()
        folders = (self._repository, self._fetched.parent)
        others = {version for folder in folders for version in versions_in_pointers(folder)}
        for folder in (self._repository / MODEL, self._fetched):
            drop_versions(folder, {*needed, *others})
        if self._host.gpu:
            drop_versions(self._repository, {*needed, *others}, prefix=graph_model(""))
            drop_engines(self._repository, self._host)
        if self._store is not None:
            until = time.time() - MIN_AGE_SECONDS
            drop_published(self._store / MODEL, needed, until)
            drop_published(self._store, needed, until, prefix=graph_model(""))
