"""Keeps Triton serving what it should: new versions come up proven, old ones leave unnoticed, and
what has died is brought back.

A version that is to be served is written into the model repository and loaded beside the others;
it takes traffic only once it answers its golden clips rightly on every Triton that is there. Then
the pointer changes, and after a while the version before is unloaded. Each round the steward also
puts a real question to every version on every Triton: nothing else tells that a model's process
has died, since Triton goes on saying that it is ready.
"""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from components.base import InputError
from components.conversation import Seconds
from serving.engine.canary import halt_path, read_halt
from serving.errors import NotReadyError, RefusedError
from serving.lineup import Lineup, Served, read_pointer, write_pointer
from serving.settings import TrafficSettings
from serving.supervisor.health import Troubles
from serving.supervisor.tritons import Tritons
from serving.triton.control import Golden, TritonControl, read_golden
from serving.triton.errors import TritonDeadError, TritonError
from serving.triton.gpu import GRAPH
from serving.triton.repository import (
    MODEL,
    HostSettings,
    drop_versions,
    export_version,
    serve_versions,
    touch_version,
)
from serving.triton.server import TritonServer

logger = logging.getLogger(__name__)

SWAP: Seconds = 0.5
"""Longer than another copy takes to put a version's folder in the place of an older one."""

DEATHS = 3
"""So many Tritons may end while they load a version, before that is laid to the version."""


class Steward:
    """Steers the Tritons; use it from one thread, which must live as long as `server`.

    Args:
        urls: host:port of each Triton's gRPC.
        repository: the model repository they share.
        fetched: the folder of the versions' folders that were fetched from the registry.
        pointer: the file that tells the services which versions are served.
        traffic: how often to ask, how long to keep.
        host: how Triton runs the model.
        server: the Triton that is ours to start anew, if there is one.
    """

    def __init__(
        self,
        urls: Sequence[str],
        repository: Path,
        fetched: Path,
        pointer: Path,
        traffic: TrafficSettings,
        host: HostSettings,
        server: TritonServer | None = None,
    ) -> None:
        self._tritons = Tritons(urls, server, host.load_seconds)
        self._repository = repository
        self._fetched = fetched
        self._pointer = pointer
        self._traffic = traffic
        self._host = host
        self._troubles = Troubles(host.instances)
        self._lineup: Lineup | None = None
        self._last: Lineup | None = None
        self._previous: int | None = None
        self._refused: dict[int, str] = {}
        self._deaths: Counter[int] = Counter()
        self._leaving: dict[int, Seconds] = {}
        self._golden: dict[int, list[Golden]] = {}
        self._revivals = 0
        self._watched = 0.0

    @property
    def lineup(self) -> Lineup | None:
        """What is served."""
        return self._lineup

    def close(self) -> None:
        """Close the connections."""
        self._tritons.close()

    def tend(self, wanted: Lineup) -> None:
        """One round: bring back what died, serve what is wanted, let go of what is not.

        Args:
            wanted: the versions that should be served.

        Raises:
            NotReadyError: Triton is not there, or went away meanwhile.
            RefusedError: the only version there is fails its check.
            InputError: a version cannot be served for what it is.
        """
        if self._tritons.restart() and self._lineup:
            self._configure(self._loaded())
            self._tritons.all[0].load()
            self._count_revival()
        if self._lineup is None:
            self._adopt()
        try:
            self._serve(wanted)
        finally:  # whatever becomes of what is new
            if time.monotonic() - self._watched >= self._traffic.watch_seconds:
                self._watch()
                self._watched = time.monotonic()
            self._let_go(wanted)

    # What is served

    def _adopt(self) -> None:
        """Go on with what another steward of these Tritons left serving, where it still answers."""
        try:
            last = read_pointer(self._pointer)
            golden = {v: read_golden(s.folder) for v, s in last.versions().items()}
            self._last = last
            answers = [self._answers(control, golden) for control in self._tritons.present()]
        except (InputError, NotReadyError) as error:
            logger.debug("nothing is served yet: %s", error)
            return
        if any(answers):  # the others are mended
            self._lineup, self._golden, self._revivals = last, golden, last.revivals

    def _answers(self, control: TritonControl, golden: dict[int, list[Golden]]) -> bool:
        try:
            for version, clips in golden.items():
                control.prove(version, clips)
        except NotReadyError as error:
            logger.info("%s does not serve what was served: %s", control.url, error)
            return False
        return True

    def _serve(self, wanted: Lineup) -> None:
        target = self._allowed(wanted)
        now = self._lineup
        if now is not None and replace(now, refused={}, revivals=0) == target:
            return
        while missing := [s for v, s in target.versions().items() if v not in self._loaded()]:
            self._bring_up(missing[0])
            target = self._allowed(wanted)
        self._switch(target)

    def _allowed(self, wanted: Lineup) -> Lineup:
        """What is wanted, without what was refused or halted."""
        halt = read_halt(halt_path(self._pointer))
        barred = set(self._refused) | ({halt.version} if halt else set())

        def unless_barred(served: Served | None) -> Served | None:
            return None if served is None or served.version in barred else served

        production = wanted.production
        if production.version in self._refused:
            before = self._lineup or self._last
            if before is None or before.production.version in self._refused:
                why = self._refused[production.version]
                raise RefusedError(f"version {production.version} takes no traffic: {why}")
            production = before.production
        return Lineup(production, unless_barred(wanted.staging), unless_barred(wanted.candidate))

    def _loaded(self) -> set[int]:
        present = set(self._lineup.versions()) if self._lineup else set()
        return present | set(self._leaving)

    def _bring_up(self, served: Served) -> None:
        """Load a version beside the others and prove it, or refuse it.

        Raises:
            NotReadyError: a Triton went away meanwhile; that says nothing about the version.
        """
        version = served.version
        try:
            self._golden[version] = self._written(served)
            self._configure({*self._loaded(), version})
            for control in self._tritons.present():
                self._load_and_prove(control, version)
        except (RefusedError, InputError) as error:
            logger.error("version %d takes no traffic: %s", version, error)
            self._refused[version] = str(error)
            if self._lineup:
                self._point(self._lineup)
                self._unload_others()
            return
        except (NotReadyError, TritonError):
            if self._loaded():  # whoever loads meanwhile must not meet it
                self._configure(self._loaded())
            raise
        del self._deaths[version]
        self._leaving[version] = float("inf")  # loaded, and not served yet

    def _written(self, served: Served) -> list[Golden]:
        """Write a version into the model repository; its golden clips."""
        try:
            return self._write(served)
        except (InputError, OSError):
            time.sleep(SWAP)
            return self._write(served)

    def _write(self, served: Served) -> list[Golden]:
        export_version(served.folder, self._repository, served.version)
        return read_golden(served.folder)

    def _load_and_prove(self, control: TritonControl, version: int) -> None:
        loaded = False
        try:
            self._load(control)
            loaded = True
            off = control.prove(version, self._golden[version])
        except (NotReadyError, TritonDeadError) as error:
            # One that was started anew meanwhile is there, but holds nothing.
            if not control.alive() or (loaded and version not in control.versions()):
                self._count_death(version)
                raise NotReadyError(f"{control.url} went away: {error}") from error
            raise RefusedError(str(error)) from error
        logger.info("version %d answers its golden clips, off by %.1e", version, off)

    def _count_death(self, version: int) -> None:
        """A Triton ended while it loaded the version.

        Raises:
            RefusedError: that was once too often, and there is another version to serve.
        """
        self._deaths[version] += 1
        before = self._lineup or self._last
        other = before is not None and before.production.version != version
        if other and self._deaths[version] >= DEATHS:
            raise RefusedError(
                f"the model server ended {DEATHS} times while it loaded this version"
            )

    def _configure(self, versions: set[int]) -> None:
        serve_versions(self._repository, versions, **self._host.model_dump())

    def _unload_others(self) -> None:
        """Have every Triton serve what it should and nothing else; one that fails is mended."""
        self._configure(self._loaded())
        for control in self._tritons.present():
            try:
                self._load(control)
            except (NotReadyError, TritonError) as error:
                logger.error("%s: %s", control.url, error)

    def _load(self, control: TritonControl) -> None:
        self._tritons.load(control, self._processes())

    def _processes(self) -> int:
        """That should run for the versions that are loaded."""
        return len(self._loaded()) * self._host.instances

    def _switch(self, target: Lineup) -> None:
        """Give the traffic to other versions; those before stay a while."""
        before = self._loaded()
        if self._lineup and self._lineup.production.version != target.production.version:
            self._previous = self._lineup.production.version
        self._point(target)
        until = time.monotonic() + self._traffic.grace_seconds
        self._leaving = {
            version: min(self._leaving.get(version, until), until)
            for version in before - set(target.versions())
        }
        logger.info("version %d is in production", target.production.version)

    def _point(self, lineup: Lineup) -> None:
        lineup = replace(lineup, refused=dict(self._refused), revivals=self._revivals)
        write_pointer(self._pointer, lineup)
        self._lineup = lineup

    def _let_go(self, wanted: Lineup) -> None:
        now = time.monotonic()
        gone = {version for version, until in self._leaving.items() if until <= now}
        if gone:
            for version in gone:
                del self._leaving[version]
                self._golden.pop(version, None)
            self._unload_others()
            logger.info("unloaded version %s", ", ".join(map(str, sorted(gone))))
            self._clear(wanted)

    def _clear(self, wanted: Lineup) -> None:
        """Delete what nobody needs; the production before this one stays for a rollback."""
        if self._previous is not None:
            needed = {*self._loaded(), *wanted.versions(), self._previous, *self._of_others()}
            for folder in (self._repository / MODEL, self._repository / GRAPH, self._fetched):
                drop_versions(folder, needed)

    def _of_others(self) -> set[int]:
        """Versions that the services with this repository, or these folders, serve or served."""
        folders = (self._repository, self._fetched.parent)
        versions: set[int] = set()
        for path in (path for folder in folders for path in folder.glob("served*.json")):
            with contextlib.suppress(InputError):  # a canary's stop lies there, too
                versions |= set(read_pointer(path).versions())
        return versions

    # What has died

    def _watch(self) -> None:
        for control in self._tritons.all:
            try:
                if self._lineup and control.alive():
                    self._mend(control, self._lineup)
            except (NotReadyError, TritonError, InputError, OSError) as error:
                # It must not keep us from the others.
                logger.error("%s cannot be mended now: %s", control.url, error)

    def _mend(self, control: TritonControl, lineup: Lineup) -> None:
        died = self._tritons.lost(self._processes())
        troubles = {
            version: trouble
            for version in lineup.versions()
            if (trouble := self._troubles.of(version, control, self._golden[version], died=died))
        }
        if not troubles and self._tritons.lost(self._processes()):
            # The version's other instances answered.
            troubles = dict.fromkeys(lineup.versions(), "one of its processes has died")
        for version, trouble in troubles.items():
            logger.warning("version %d on %s: %s", version, control.url, trouble)
        if troubles:
            self._revive(control, list(troubles))

    def _revive(self, control: TritonControl, versions: Sequence[int]) -> None:
        """Have Triton make versions' processes anew; the other versions go on answering."""
        for version in versions:
            touch_version(self._repository, version)
        self._configure(self._loaded())
        control.load()
        for version in versions:
            control.prove(version, self._golden[version])
            logger.info("version %d on %s answers again", version, control.url)
        self._count_revival()

    def _count_revival(self) -> None:
        self._revivals += 1
        if self._lineup:
            self._point(self._lineup)
