"""Follow the registry: its aliases say what should be served."""

import contextlib
import logging
import os
import threading
from pathlib import Path

from components.base import InputError, MoodlineError, Refused
from components.config import Settings
from components.register import NotTrustedError
from serving.lineup import Lineup, Role, Served, halt_path, read_halt, read_pointer
from serving.settings import TrafficSettings

logger = logging.getLogger(__name__)

ACTOR = "moodline serve"


class NoProductionError(InputError):
    """The registry says that no version is in production."""


def fetched_folder(settings: Settings) -> Path:
    """The folder that holds a folder of each fetched version."""
    return settings.home / "serving" / "models"


def fetch(version: int, settings: Settings) -> Served:
    """Bring a version into `<home>/serving/models/<version>`.

    Raises:
        MoodlineError: there is none, its files are not those that were registered, or MLflow
            failed.
    """
    from components.register import download_signed, show

    folder = fetched_folder(settings) / str(version)
    with contextlib.suppress(FileNotFoundError):
        os.utime(folder)  # the clean-up keeps what is recent
    verdict = show(version, settings).verdict
    signed = download_signed(version, folder, settings)
    return Served(version, folder, signed.digest, verdict, signed.envelope)


def check_trusted(served: Served, settings: Settings) -> None:
    """See that a version which was fetched before is signed with a key that is trusted now.

    Raises:
        NotTrustedError: it is not.
    """
    from components.register import check_envelope

    check_envelope(served.version, served.digest, served.signature, settings)


def read_last(pointer: Path, settings: Settings, *, unsigned: bool = False) -> Lineup[Served]:
    """What was served last, without the versions on trial that are not trusted now.

    Args:
        pointer: the file that tells it.
        settings: where the trusted keys are.
        unsigned: take versions without a signature, too: where a person names the model to serve.

    Raises:
        InputError: nothing was served.
        NotTrustedError: the version in production is not trusted now.
    """
    last, roles = read_pointer(pointer), {}
    for role, served in last.roles.items():
        try:
            if served.signature:
                check_trusted(served, settings)
            elif not unsigned:  # an older release left none there
                raise NotTrustedError(
                    f"version {served.version}: {pointer} does not say who signed it; start again"
                    " when MLflow answers"
                )
            roles[role] = served
        except NotTrustedError as error:
            if role == "production":
                raise
            logger.warning("%s is not served: %s", role, error)
    return Lineup(roles, last.refused, last.revivals)


def fetch_production(settings: Settings) -> Served:
    """Bring the version in production.

    Raises:
        NoProductionError: none is in production.
        MoodlineError: the registry does not answer, or the version cannot be fetched.
    """
    from components.register import alias_version

    version = alias_version("production", settings)
    if version is None:
        raise NoProductionError("no version is in production; train one with moodline retrain")
    return fetch(version, settings)


class Follower:
    """Asks the registry again and again, in a thread of its own: a version may be large, and a
    registry slow or away. While it is away, its last answer counts.

    Attributes:
        desired: the versions that should be served; None until a first one is in production.
    """

    def __init__(
        self,
        first: Lineup[Served] | None,
        settings: Settings,
        traffic: TrafficSettings,
        pointer: Path,
    ) -> None:
        self._settings = settings
        self._traffic = traffic
        self._halt = halt_path(pointer)
        self.desired = first
        self._logged_gone: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more. This does not wait for a download."""
        self._stopping.set()

    def _run(self) -> None:
        logged = ""
        while True:
            try:
                self._ask()
                logged = ""
            except MoodlineError as error:
                if str(error) != logged:  # once, not every few seconds
                    logger.warning("the registry cannot be followed: %s", error)
                logged = str(error)
            if self._stopping.wait(self._traffic.follow_seconds):
                return

    def _ask(self) -> None:
        if self.desired is not None:
            self._log_what_is_gone(self.desired)
            self._roll_back_halted(self.desired)
        production = self._followed("production")
        if production is None:
            if self.desired is None:
                return
            production = self.desired.production
        before = self.desired.roles if self.desired else {}
        self.desired = Lineup({**before, "production": production})
        roles: dict[Role, Served] = {"production": production}
        if self._traffic.canary_share and (staging := self._followed("staging")):
            roles["staging"] = staging
        candidate = self._followed("candidate") if self._traffic.shadow_share else None
        if candidate and candidate.version not in {served.version for served in roles.values()}:
            roles["candidate"] = candidate  # else it answers already
        self.desired = Lineup(roles)

    def _log_what_is_gone(self, desired: Lineup[Served]) -> None:
        """What was deleted from MLflow by hand is still served; the log says so, once."""
        from components.register import alias_version, gone_versions

        going_on = f"version {desired.production.version} stays served"
        gone = {
            alias: f"version {number}, which the history names, has been deleted from MLflow"
            for alias, number in gone_versions(self._settings).items()
        }
        if alias_version("production", self._settings) is None:
            gone["production"] = "the registry names no version any more"
        for alias, line in gone.items():
            if self._logged_gone.get(alias) != line:
                logger.warning("%s: %s; %s", alias, line, going_on)
        self._logged_gone = gone

    def _aliased(self, alias: Role) -> Served | None:
        from components.register import alias_version

        version = alias_version(alias, self._settings)
        if version is None:
            return None
        served = self.desired.versions().get(version) if self.desired else None
        if served is not None:
            with contextlib.suppress(NotTrustedError):  # or someone has signed it again
                check_trusted(served, self._settings)
                return served
        return fetch(version, self._settings)

    def _followed(self, alias: Role) -> Served | None:
        """As `_aliased`; None if it is refused, so that the others are followed all the same."""
        try:
            served = self._aliased(alias)
        except InputError as error:
            if self._refused.get(alias) != str(error):  # once, not every few seconds
                end = ""
                if alias == "production" and self.desired:
                    end = f"; version {self.desired.production.version} stays served"
                logger.warning("%s is not served: %s%s", alias, error, end)
            self._refused[alias] = str(error)
            return None
        self._refused.pop(alias, None)
        return served

    def _roll_back_halted(self, desired: Lineup[Served]) -> None:
        """Take a halted canary out of staging in the registry, with the reason. Once the registry
        says that it has left, the version may come again."""
        from components.register import LONGEST_REASON, alias_version, clipped, rollback

        halt = read_halt(self._halt)
        if halt is None:
            return
        if alias_version("staging", self._settings) != halt.version:
            if desired.staging is None or desired.staging.version != halt.version:
                self._halt.unlink(missing_ok=True)
            return
        try:
            reason = f"canary: {halt.reason}"
            about = {"actor": ACTOR, "reason": clipped(reason, LONGEST_REASON)}
            # By its number: an operator may put the next one there at this moment.
            rollback(self._settings, **about, stage="staging", version=halt.version)
            logger.warning("took version %d out of staging: %s", halt.version, halt.reason)
        except Refused as error:
            logger.info("somebody else took it out: %s", error)
