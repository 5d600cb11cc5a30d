"""Follow the registry: what its aliases say is what should be served."""

import contextlib
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path

from components.base import InputError, MoodlineError, Refused
from components.config import Settings
from serving.engine.canary import halt_path, read_halt
from serving.lineup import Lineup, Served
from serving.settings import TrafficSettings

logger = logging.getLogger(__name__)

ACTOR = "moodline serve"


def fetched(settings: Settings) -> Path:
    """The folder of the versions' folders that were fetched."""
    return settings.home / "serving" / "models"


def fetch(version: int, settings: Settings) -> Served:
    """Bring a version into `<home>/serving/models/<version>`.

    Raises:
        MoodlineError: there is none, its files are not those that were registered, or MLflow
            failed.
    """
    from components.register import download, show

    folder = fetched(settings) / str(version)
    with contextlib.suppress(FileNotFoundError):
        os.utime(folder)  # whoever clears up sees that it is needed again
    known = show(version, settings)
    return Served(version, download(version, folder, settings), known.digest, known.verdict)


def fetch_production(settings: Settings) -> Served:
    """Bring the version in production.

    Raises:
        InputError: none is in production.
        Unavailable: the registry does not answer.
    """
    from components.register import alias_version

    version = alias_version("production", settings)
    if version is None:
        raise InputError("no version is in production; train one with moodline retrain")
    return fetch(version, settings)


class Follower:
    """Asks the registry again and again, in a thread of its own: a version may be large, and a
    registry slow or away. What it last said goes on to count then.

    Args:
        first: what is served to begin with.
        settings: where the registry is.
        traffic: how often to ask, and which aliases matter.
        pointer: beside it lies the file that stops a canary.
    """

    def __init__(
        self, first: Lineup, settings: Settings, traffic: TrafficSettings, pointer: Path
    ) -> None:
        self._settings = settings
        self._traffic = traffic
        self._halt = halt_path(pointer)
        self._wanted = first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)

    @property
    def wanted(self) -> Lineup:
        """The versions that should be served."""
        return self._wanted

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; a download under way is not waited for."""
        self._ended.set()

    def _run(self) -> None:
        said = ""
        while True:
            try:
                self.look()
                said = ""
            except MoodlineError as error:
                if str(error) != said:  # once, not every few seconds
                    logger.warning("the registry cannot be followed: %s", error)
                said = str(error)
            if self._ended.wait(self._traffic.follow_seconds):
                return

    def look(self) -> None:
        """Ask once.

        Raises:
            MoodlineError: the registry does not answer, or a version cannot be fetched.
        """
        self._take_out()
        production = self._aliased("production") or self._wanted.production
        self._wanted = replace(self._wanted, production=production)
        staging = self._aliased("staging") if self._traffic.canary_share else None
        candidate = self._aliased("candidate") if self._traffic.shadow_share else None
        served = {production.version} | ({staging.version} if staging else set())
        if candidate and candidate.version in served:
            candidate = None  # it answers already
        self._wanted = Lineup(production, staging, candidate)

    def _aliased(self, alias: str) -> Served | None:
        from components.register import alias_version

        version = alias_version(alias, self._settings)
        if version is None:
            return None
        return self._wanted.versions().get(version) or fetch(version, self._settings)

    def _take_out(self) -> None:
        """Take a canary that was stopped out of staging, with the reason, where people look. When
        the registry itself says that it has left, it may come again."""
        from components.register import alias_version, rollback

        halt = read_halt(self._halt)
        if halt is None:
            return
        if alias_version("staging", self._settings) != halt.version:
            if self._wanted.staging is None or self._wanted.staging.version != halt.version:
                self._halt.unlink(missing_ok=True)
            return
        try:
            reason = f"canary: {halt.reason}"
            rollback(self._settings, actor=ACTOR, reason=reason, stage="staging")
            logger.warning("took version %d out of staging: %s", halt.version, halt.reason)
        except Refused as error:
            logger.info("somebody else took it out: %s", error)
