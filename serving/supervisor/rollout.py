"""Rolls versions out to the Tritons, and keeps those that are served answering.

A version is written into the model repository and loaded beside the others. It is proven once it
answers its golden clips rightly on every Triton that is there. Then the pointer changes, and the
version before is unloaded after a while. See `states`.

Each step also puts a real question to every served version on every Triton. Where one fails, that
Triton is restarted. A version on trial (staging or candidate) that fails twice is refused instead.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from components.base import InputError, Unavailable
from components.config import Settings
from serving.errors import NotReadyError, NotSteeredError, RefusedError
from serving.lineup import Lineup, Role, Served, halt_path, read_halt, read_pointer, write_pointer
from serving.settings import HostSettings, TrafficSettings
from serving.supervisor.fleet import Fleet, ServedFailedError
from serving.supervisor.resuming import answers, left_draining
from serving.supervisor.states import LOADED, RolloutVersion, State
from serving.supervisor.version_files import VersionFiles
from serving.triton.control import TritonControl
from serving.triton.errors import TritonDeadError, TritonError
from serving.triton.server import TritonServer

logger = logging.getLogger(__name__)


class Rollout:
    """Steers the Tritons. Use it from one thread, which must live as long as `server`.

    Args:
        urls: host:port of each Triton's gRPC.
        repository: the model repository they share.
        fetched: the folder of the versions' folders that were fetched from the registry.
        pointer: the file that tells the services which versions are served.
        traffic: how often to ask, and how long a version drains.
        host: how Triton runs the model.
        settings: where this machine's speech models lie; None takes it from the environment.
        profile: that the operator gave for them, as `version_speech` takes it.
        server: the Triton that this process started, if there is one.
        read_last: reads from the pointer what another copy, or this one before, left serving.
        check_leads: raises where this copy may steer no more; asked before each change.
        publish: tells other copies what is served from now on, before the pointer does.

    Attributes:
        lineup: what is served.
    """

    def __init__(
        self,
        urls: Sequence[str],
        repository: Path,
        fetched: Path,
        pointer: Path,
        *,
        traffic: TrafficSettings,
        host: HostSettings,
        settings: Settings | None = None,
        profile: str = "",
        server: TritonServer | None = None,
        read_last: Callable[[Path], Lineup[Served]] = read_pointer,
        check_leads: Callable[[], None] = lambda: None,
        publish: Callable[[Lineup[Served]], None] = lambda lineup: None,
    ) -> None:
        self._fleet = Fleet(urls, server, host)
        folders = (repository, fetched, host, settings or Settings(), profile)
        self._files = VersionFiles(*folders, check_leads)
        self._pointer = pointer
        self._traffic = traffic
        self._read_last = read_last
        self._check_leads = check_leads
        self._publish = publish
        self._versions: dict[int, RolloutVersion] = {}
        self._apart: dict[int, str] = {}
        self.lineup: Lineup[Served] | None = None
        self._last: Lineup[Served] | None = None
        self._previous: int | None = None
        self._revivals = 0
        self._watched_at = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._fleet.close()

    def step(self, desired: Lineup[Served]) -> None:
        """Bring back what died, serve what is desired, unload what has drained.

        Raises:
            NotReadyError: no Triton is there, or one went away meanwhile.
            RefusedError: the only version there is fails its check.
            InputError: a version cannot be served for what it is.
        """
        unanswered = self._fleet.unanswered()
        if self._fleet.restart_if_ended():
            self._count_failure(
                unanswered, "the model server ended after it left a question unanswered"
            )
            self._restore_loaded(self._fleet.controls[0])
        if self.lineup is None:
            self._resume(desired)
        try:
            self._serve(desired)
        finally:  # whatever becomes of a new version
            drained = self._forget_drained()
            if drained or time.monotonic() - self._watched_at >= self._traffic.watch_seconds:
                self._watch()
                self._watched_at = time.monotonic()
            if drained:
                self._delete_unneeded(desired)

    # Which versions are served

    def _resume(self, desired: Lineup[Served]) -> None:
        """Go on with what another copy left serving, if at least one Triton still answers."""
        try:
            last = self._read_last(self._pointer)
            golden = {v: self._files.restore(s) for v, s in last.versions().items()}
            self._last = last
            if not answers(self._fleet, golden):
                return
            known = {*golden, *desired.versions(), *last.refused}
            grace = self._traffic.grace_seconds
            self._versions |= left_draining(self._fleet, self._files, known, grace)
        except (InputError, NotReadyError) as error:
            logger.debug("nothing is served yet: %s", error)
            return
        self.lineup, self._revivals = last, last.revivals
        self._versions |= {v: RolloutVersion(State.SERVING, c) for v, c in golden.items()}

    def _serve(self, desired: Lineup[Served]) -> None:
        apart, roles = self._apart, self._allowed(desired)
        if self.lineup is not None and self.lineup.roles == roles:
            if self._apart != apart:
                self._write_lineup(roles)
            return
        while missing := [s for s in roles.values() if s.version not in self._loaded()]:
            on_trial = missing[0].version != roles["production"].version
            self._bring_up(missing[0], on_trial=on_trial)
            roles = self._allowed(desired)
        self._switch(roles)

    def _allowed(self, desired: Lineup[Served]) -> dict[Role, Served]:
        """The desired versions, without those that are refused or halted."""
        refused = self._in_state(State.REFUSED)
        halt = read_halt(halt_path(self._pointer))
        barred = set(refused) | ({halt.version} if halt else set())
        roles = {
            role: served
            for role, served in desired.roles.items()
            if role == "production" or served.version not in barred
        }
        if desired.production.version in refused:
            before = self.lineup or self._last
            if before is None or before.production.version in refused:
                why = refused[desired.production.version].reason
                raise RefusedError(f"version {desired.production.version} takes no traffic: {why}")
            roles["production"] = before.production
        self._apart = self._files.apart(roles)
        return {role: served for role, served in roles.items() if served.version not in self._apart}

    def _switch(self, roles: dict[Role, Served]) -> None:
        """Give the traffic to these versions; the others drain."""
        production = roles["production"].version
        if self.lineup and self.lineup.production.version != production:
            self._previous = self.lineup.production.version
        self._write_lineup(roles)
        serving = {served.version for served in roles.values()}
        until = time.monotonic() + self._traffic.grace_seconds
        for number, version in self._versions.items():
            if number in serving:
                version.state = State.SERVING
            elif version.state in (State.PROVEN, State.SERVING):
                version.state, version.unload_at = State.DRAINING, until
        logger.info("version %d is in production", production)

    def _write_lineup(self, roles: dict[Role, Served]) -> None:
        lineup = Lineup(roles, self._refused(), self._revivals)
        self._publish(lineup)
        write_pointer(self._pointer, lineup)
        self.lineup = lineup

    def _in_state(self, *states: State) -> dict[int, RolloutVersion]:
        return {v: version for v, version in self._versions.items() if version.state in states}

    @property
    def _production(self) -> int | None:
        return self.lineup.production.version if self.lineup else None

    def _loaded(self) -> dict[int, RolloutVersion]:
        return self._in_state(*LOADED)

    def _refused(self) -> dict[int, str]:
        refused = {v: version.reason for v, version in self._in_state(State.REFUSED).items()}
        return self._apart | refused

    # Loading and unloading

    def _bring_up(self, served: Served, *, on_trial: bool) -> None:
        """Load a version beside the others and prove it, or refuse it.

        Raises:
            NotReadyError: a Triton went away meanwhile; that says nothing about the version.
        """
        version = self._versions.setdefault(served.version, RolloutVersion())
        try:
            version.golden = self._files.bring(served)
            for control in self._fleet.present():
                self._files.configure({*self._loaded(), served.version}, control)
                self._load_and_prove(control, served.version, on_trial=on_trial)
        except (RefusedError, InputError) as error:
            self._refuse(served.version, str(error))
        except (NotReadyError, TritonError):
            if self._loaded():  # a restarted Triton must not load it
                self._configure()
            self._fleet.restart_if_ended()
            raise
        else:
            version.state, version.failures = State.PROVEN, 0

    def _load_and_prove(self, control: TritonControl, number: int, *, on_trial: bool) -> None:
        version, loaded, held = self._versions[number], False, control.versions()
        try:
            self._load(control, held)
            loaded = True
            off = control.prove(number, version.golden)
        except ServedFailedError as error:
            disturbs = on_trial and self._production in error.versions
            if disturbs and version.count_interruption():
                reason = f"production failed {version.interruptions} times while it loaded"
                raise RefusedError(reason) from error
            raise
        except NotSteeredError:
            raise
        except (NotReadyError, TritonDeadError) as error:
            # A Triton that was restarted meanwhile is there, but holds nothing.
            if control.alive() and (not loaded or number in control.versions()):
                self._files.check_store()  # Triton may not have reached it either
                raise RefusedError(str(error)) from error
            before = self.lineup or self._last
            other = before is not None and before.production.version != number
            if version.count_failure() and other:
                raise RefusedError(
                    f"the model server ended {version.failures} times while it loaded this version"
                ) from error
            raise NotReadyError(f"{control.url} went away: {error}") from error
        logger.info("version %d answers its golden clips, off by %.1e", number, off)

    def _load(self, control: TritonControl, held: Collection[int]) -> None:
        serving = self._in_state(State.SERVING)
        held_golden = {v: serving[v].golden for v in serving if v in held}
        try:
            try:
                self._fleet.load(control, held_golden, self._files.graphs)
            except NotReadyError as error:
                if not self._files.drop_broken_engine(str(error)):
                    raise
                logger.warning("an engine is made anew: %s", error)
                self._fleet.load(control, held_golden, self._files.graphs)
        except ServedFailedError as error:
            self._count_failure(error.versions, "it failed a real question")
            raise

    def _configure(self) -> None:
        self._files.configure(self._loaded())

    def _refuse(self, number: int, reason: str) -> None:
        """Take a version out, for good."""
        logger.error("version %d takes no traffic: %s", number, reason)
        self._versions[number].state = State.REFUSED
        self._versions[number].reason = reason
        if self.lineup:
            roles = self.lineup.roles.items()
            self._write_lineup({role: served for role, served in roles if served.version != number})

    def _forget_drained(self) -> bool:
        """Forget the versions that have drained, so that they are unloaded; whether any has."""
        now = time.monotonic()
        drained = [n for n, v in self._in_state(State.DRAINING).items() if v.unload_at <= now]
        for number in drained:
            del self._versions[number]
            logger.info("version %d has drained", number)
        return bool(drained)

    def _delete_unneeded(self, desired: Lineup[Served]) -> None:
        """Delete the folders that nobody needs; the production before stays for a rollback."""
        if self._previous is not None:
            self._files.delete_all_but({*self._loaded(), *desired.versions(), self._previous})

    # Whether they answer

    def _watch(self) -> None:
        for control in self._fleet.controls:
            try:
                if control.alive():
                    self._restore_loaded(control)
                    self._restart_if_failing(control)
            except (Unavailable, TritonError, InputError, OSError) as error:
                # It must not keep us from the others.
                logger.error("%s cannot be mended now: %s", control.url, error)

    def _restore_loaded(self, control: TritonControl) -> None:
        """Make a Triton hold exactly the loaded versions; it may be new, or have come back."""
        loaded, held = self._loaded(), set(control.versions())
        if not loaded or loaded.keys() == held:
            return
        self._files.configure(loaded, control)
        missing = sorted(loaded.keys() - held)
        try:
            self._load(control, held)
            for number in missing:
                control.prove(number, loaded[number].golden)
        except NotReadyError as error:
            if not isinstance(error, ServedFailedError) and not control.alive():
                on_trial = set(missing) - {self._production}
                self._count_failure(on_trial, "the model server ended while it loaded this version")
            raise
        logger.info("%s serves version %s", control.url, ", ".join(map(str, sorted(loaded))))
        if missing and self.lineup:
            self._revivals += 1
            self._write_lineup(dict(self.lineup.roles))

    def _restart_if_failing(self, control: TritonControl) -> None:
        failing, serving = set(), self._in_state(State.SERVING)
        for number in sorted(serving, key=lambda number: number != self._production):
            why = self._fleet.failure(control, number, serving[number].golden)
            if why:
                logger.warning("version %d on %s: %s", number, control.url, why)
                failing.add(number)
                if not control.alive():
                    break  # those that come after it cannot answer
            else:
                serving[number].note_good_answer()
        self._count_failure(failing, "it failed a real question")
        if failing & self._in_state(State.SERVING).keys():
            self._check_leads()
            self._fleet.restart(control)
            self._restore_loaded(control)

    def _count_failure(self, numbers: Collection[int], why: str) -> None:
        """Count a failure of those on trial; one that has failed too often is refused. Where
        production has failed, too, none of them is at fault."""
        serving = self._in_state(State.SERVING)
        on_trial = set(numbers) & serving.keys() if self._production not in numbers else ()
        for number in on_trial:
            if serving[number].count_failure():
                self._refuse(number, f"{why}, {serving[number].failures} times")
