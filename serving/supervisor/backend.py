"""Triton with the served versions on it, steered by a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.base import InputError, MoodlineError, Unavailable
from components.config import Settings, version_speech
from components.conversation import Seconds
from components.register import NotTrustedError
from serving.errors import NotLeadingError, NotReadyError, RefusedError
from serving.lineup import NO_VERSION, Lineup, Served
from serving.settings import HostSettings, TrafficSettings
from serving.supervisor.leadership import Leadership
from serving.supervisor.leases import FileLease, Lease
from serving.supervisor.registry_follower import (
    Follower,
    NoProductionError,
    fetch_production,
    fetched_folder,
    read_last,
)
from serving.supervisor.rollout import Rollout
from serving.supervisor.shared_pointer import SharedPointer
from serving.triton.environment import TritonEnvironment
from serving.triton.errors import TritonError
from serving.triton.replicas import addresses
from serving.triton.server import TritonServer

logger = logging.getLogger(__name__)

STEP_SECONDS: Seconds = 0.2
"""Between two steps of the rollout."""


class Backend:
    """The Tritons, and the rollout that steers them.

    If the settings name Tritons, these are steered, and none is started here. Several copies of the
    service may share them and the model repository: the copy that holds the lease steers, and when
    it ends, however that happens, another goes on.

    Args:
        settings, pointer, traffic, host, profile: as `Rollout` takes them, and where things lie.
        wait: serve nothing until a first version is in production.
        lease: makes what the copy that steers holds; None: a lock of a file beside the pointer.
        log, metrics_port: of a Triton that is started here, as `TritonServer` takes them.
    """

    def __init__(
        self,
        settings: Settings,
        pointer: Path,
        *,
        traffic: TrafficSettings,
        host: HostSettings,
        profile: str = "",
        wait: bool = False,
        lease: Callable[[], Lease] | None = None,
        log: Path | None = None,
        metrics_port: int = 0,
    ) -> None:
        self.server: TritonServer | None = None
        self._settings = settings
        self._pointer = pointer
        self._traffic = traffic
        self._host = host
        self._profile = profile
        self._wait = wait
        self._log = log
        self._metrics_port = metrics_port
        # The kernel ties tritonserver to the thread that starts it, so one thread does all of it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rollout")
        self._stopping = threading.Event()
        self._make_lease = lease or (lambda: FileLease(pointer.with_suffix(".lock")))
        self._leadership: Leadership | None = None
        self._term = 0
        store = settings.shared_repository
        self._shared = SharedPointer(store / "served.json", pointer, settings) if store else None
        self._urls: list[str] = []
        self._rollout: Rollout | None = None
        self._follower: Follower | None = None
        self._desired: Lineup[Served] | None = None
        self._looked = self._for_good = False

    def start(self) -> str:
        """Start a Triton unless the settings name one; it serves nothing yet.

        Returns:
            The address of its gRPC; of several, separated by commas.

        Raises:
            InputError: it is not set up, its port is taken, or an address is wrong.
            NotReadyError: it does not come up.
        """
        self._urls = list(addresses(self._settings.triton_url))
        if self._urls:
            self._leadership = Leadership(self._make_lease())
        elif self._shared is not None:
            place = self._settings.model_repository_store
            raise InputError(
                f"MOODLINE_MODEL_REPOSITORY={place}: is for Tritons that read it themselves; name"
                " them by MOODLINE_TRITON_URL"
            )
        else:
            self.server = TritonServer(
                TritonEnvironment(self._settings.triton_env.resolve()),
                self._settings.model_repository,
                self._log,
                metrics_port=self._metrics_port,
            )
            self._thread.submit(self.server.start).result()
            self._urls = [self.server.grpc_url]
        if self._shared is not None:
            try:
                self._shared.prepare()
                self._shared.follow()
            except MoodlineError as error:
                logger.warning("what other copies serve is not known now: %s", error)
        self._rollout = self._new_rollout()
        return ",".join(self._urls)

    def _new_rollout(self) -> Rollout:
        return Rollout(
            self._urls,
            self._settings.model_repository,
            fetched_folder(self._settings),
            self._pointer,
            traffic=self._traffic,
            host=self._host,
            profile=self._profile,
            settings=self._settings,
            server=self.server,
            read_last=self._read_last,
            check_leads=self._check_leads,
            publish=self._publish,
        )

    def _read_last(self, pointer: Path) -> Lineup[Served]:
        return read_last(pointer, self._settings, unsigned=self._for_good)

    def first(self, model: Served | None = None) -> Served | None:
        """Bring what is served first, and see that its speech models are here.

        Args:
            model: the version to serve for good; None: the version in production, and those that
                follow it.

        Returns:
            None: nothing is in production, and that is waited for.

        Raises:
            InputError: no version is in production, or its speech models are not those that it was
                made with.
            Unavailable: the registry does not answer, and nothing was served before.
        """
        self._looked, self._for_good = True, model is not None
        self._desired = Lineup({"production": model}) if model else self._in_production()
        if self._desired is None:
            return None
        served = self._desired.production
        try:
            version_speech(served.folder, self._profile).check_here(self._settings)
        except InputError as error:
            before = self._served_before(served.version)
            if before is None:
                raise InputError(f"version {served.version} cannot be served: {error}") from error
            return before  # the rollout refuses the other one
        return served

    def _served_before(self, version: int) -> Served | None:
        """What was served last, if it is another version."""
        try:
            last = read_last(self._pointer, self._settings).production
        except InputError:
            return None
        return last if last.version != version else None

    def serve(self, model: Served | None = None) -> Served | None:
        """Serve what `first` brings, if it has not yet, and from then on what is desired.

        Args:
            model: as `first` takes it.

        Returns:
            The version that is served first, or will be once Triton is there; None: none yet.

        Raises:
            InputError, Unavailable: as `first`.
            RefusedError: the version fails its check, and there is none in its stead.
        """
        if not self._looked:
            self.first(model)
        if not self._for_good:
            self._follower = Follower(self._desired, self._settings, self._traffic, self._pointer)
        try:
            self._thread.submit(self._step, self._desired).result()
        except RefusedError:
            raise
        except (Unavailable, TritonError) as error:
            logger.warning("nothing can be served yet: %s", error)  # `_run` goes on trying
        if self._follower:
            self._follower.start()
        self._thread.submit(self._run)
        lineup = (self._rollout.lineup if self._rollout else None) or self._desired
        return lineup.production if lineup else None

    def _in_production(self) -> Lineup[Served] | None:
        """What is in production; if it cannot be fetched, what was served last. None: nothing yet,
        and that is waited for."""
        try:
            return Lineup({"production": fetch_production(self._settings)})
        except NotTrustedError:  # a key that leaked is trusted no longer
            raise
        except NoProductionError:
            if not self._wait:
                raise
            logger.warning(NO_VERSION)
            return None
        except MoodlineError as error:
            try:
                last = read_last(self._pointer, self._settings)
            except NotTrustedError:
                raise
            except InputError:
                if self._wait and isinstance(error, Unavailable):
                    logger.warning("the registry is waited for: %s", error)
                    return None
                raise error from None
            logger.warning("what was served last is served again: %s", error)
            return Lineup(last.roles)

    def _run(self) -> None:
        logged = ""
        while not self._stopping.wait(STEP_SECONDS):
            try:
                self._step(self._follower.desired if self._follower else self._desired)
                logged = ""
            except Exception as error:  # a fault must not end the thread that mends faults
                if str(error) != logged:
                    logger.error("not served as it should be: %s", error, exc_info=error)
                logged = str(error)
                self._stopping.wait(1.0)

    def _step(self, desired: Lineup[Served] | None) -> None:
        if self._leadership is not None and desired is not None:
            self._leadership.start()  # who knows no version has nothing to steer
        if self._leadership is not None and not self._leadership.leads:
            self._follow(desired)
            return
        if desired is None:
            return
        if self._leadership is not None and self._leadership.term != self._term:
            self._begin_term(self._leadership.term)
        assert self._rollout is not None
        try:
            self._rollout.step(desired)
        except NotLeadingError as error:
            logger.warning("%s", error)

    def _follow(self, desired: Lineup[Served] | None) -> None:
        if self._shared is None:
            return
        try:
            self._shared.follow(desired.versions() if desired else ())
        except InputError as error:
            raise NotReadyError(str(error)) from error

    def _begin_term(self, term: int) -> None:
        """Forget what was known of the Tritons: another copy may have steered them meanwhile. Where
        what that one served can be brought no more, nothing is known, and what is desired is served
        in its stead.

        Raises:
            Unavailable: the store or the registry does not answer.
        """
        if self._shared is not None:
            try:
                self._shared.follow(at_once=True)
            except InputError as error:  # it will be no other the next time
                logger.warning("what the copy before served is not known: %s", error)
        if self._term and self._rollout is not None:
            self._rollout.close()
            self._rollout = self._new_rollout()
        self._term = term

    def _publish(self, lineup: Lineup[Served]) -> None:
        self._check_leads()
        if self._shared is not None:
            self._shared.publish(lineup)

    def _check_leads(self) -> None:
        if self._leadership is not None and not (
            self._leadership.leads and self._leadership.term == self._term
        ):
            raise NotLeadingError("this copy could not renew its lease, and steers no more")

    def stop(self) -> None:
        """Stop the rollout, and the Triton that was started here. The pointer stays: the next start
        needs it if the registry is away."""
        began = time.monotonic()
        self._stopping.set()
        if self._follower:
            self._follower.stop()
        if self.server:
            self.server.stop()  # ends what the other thread waits for
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self.server:
            self.server.close()
        if self._rollout:
            self._rollout.close()
        if self._leadership:
            self._leadership.stop()
        logger.info("the model server is stopped after %.1f s", time.monotonic() - began)


def pointer_path(settings: Settings, port: int) -> Path:
    """Where the pointer lies: beside the repository if several services share its folder, or in the
    home, for the service on this port."""
    if settings.triton_url and not settings.model_repository_store:
        return settings.model_repository / "served.json"
    return settings.home / "serving" / f"served-{port}.json"
