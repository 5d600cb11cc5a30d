"""Keeps Triton serving what it should: new versions come up proven, old ones leave unnoticed, and
what has died is brought back.

A version that is to be served is written into the model repository and loaded beside the others;
it takes traffic only once it answers its golden clips rightly on every Triton that is there. Then
the pointer changes, and after a while the version before is unloaded. Each round the steward also
puts a real question to every version on every Triton: nothing else tells that a model's process
has died, since Triton goes on saying that it is ready.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from components.conversation import InputError, Seconds
from serving.canary import halt_path, read_halt
from serving.errors import NotReadyError
from serving.served import Lineup, Served, read_pointer, write_pointer
from serving.traffic import TrafficSettings
from serving.triton.control import Golden, TritonControl, read_golden
from serving.triton.errors import (
    TritonDeadError,
    TritonError,
    TritonFullError,
    TritonLateError,
)
from serving.triton.export import HostSettings, export_version, serve_versions, touch_version
from serving.triton.server import TritonServer

logger = logging.getLogger(__name__)

QUESTION: Seconds = 5.0
"""The longest that the answer to one question may take."""

SHORT_QUESTION: Seconds = 1.0
"""The same, where a process is known to have died."""

STUCK = 4
"""So many questions in a row without an answer in time, and nobody else answered: it hangs."""

SILENT: Seconds = 10.0
"""How long our own tritonserver may not answer at all before it is started anew."""


class Steward:
    """Steers the Tritons; use it from one thread, which must live as long as `server`.

    Args:
        urls: host:port of each Triton's gRPC.
        repository: the model repository they share.
        pointer: the file that tells the services which versions are served.
        traffic: how often to ask, how long to keep.
        host: how Triton runs the model.
        server: the Triton that is ours to start anew, if there is one.
    """

    def __init__(
        self,
        urls: Sequence[str],
        repository: Path,
        pointer: Path,
        traffic: TrafficSettings,
        host: HostSettings,
        server: TritonServer | None = None,
    ) -> None:
        self._controls = [TritonControl(url) for url in urls]
        self._repository = repository
        self._pointer = pointer
        self._traffic = traffic
        self._host = host
        self._server = server
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._lineup: Lineup | None = None
        self._refused: dict[int, str] = {}
        self._leaving: dict[int, Seconds] = {}
        self._golden: dict[int, list[Golden]] = {}
        self._late: dict[tuple[str, int], tuple[int, int]] = {}
        self._revivals = 0
        self._watched = 0.0
        self._heard = time.monotonic()

    @property
    def lineup(self) -> Lineup | None:
        """What is served."""
        return self._lineup

    def close(self) -> None:
        """Close the connections."""
        self._loader.shutdown(wait=False, cancel_futures=True)
        for control in self._controls:
            control.close()

    def tend(self, wanted: Lineup) -> None:
        """One round: bring back what died, serve what is wanted, let go of what is not.

        Args:
            wanted: the versions that should be served.

        Raises:
            NotReadyError: Triton is not there, or the only version there is fails its check.
            InputError: a version cannot be served for what it is.
        """
        self._restart()
        if self._lineup is None:
            self._adopt()
        self._serve(wanted)
        if time.monotonic() - self._watched >= self._traffic.watch_seconds:
            self._watch()
            self._watched = time.monotonic()
        self._let_go()

    def _restart(self) -> None:
        """Start our own tritonserver anew if it has ended or does not answer any more."""
        if self._server is None:
            return
        if self._server.running and self._controls[0].alive():
            self._heard = time.monotonic()
            return
        if self._server.running and time.monotonic() - self._heard < SILENT:
            return
        logger.warning("tritonserver has ended or is silent; it is started anew")
        self._server.stop(grace=0)
        self._server.start()
        self._heard = time.monotonic()
        if self._lineup:
            self._controls[0].load()
            self._count_revival()

    # What is served

    def _adopt(self) -> None:
        """Go on with what another steward of these Tritons left serving, if it still answers."""
        try:
            lineup = read_pointer(self._pointer)
            golden = {v: read_golden(s.folder) for v, s in lineup.versions().items()}
            for control in self._present():
                for version, clips in golden.items():
                    control.prove(version, clips)
        except (InputError, NotReadyError) as error:
            logger.debug("nothing is served yet: %s", error)
            return
        self._lineup, self._golden, self._revivals = lineup, golden, lineup.revivals

    def _serve(self, wanted: Lineup) -> None:
        target = self._allowed(wanted)
        now = self._lineup
        if now is None or replace(now, refused={}, revivals=0) != target:
            for served in target.versions().values():
                if served.version not in self._loaded():
                    self._bring_up(served)
            target = self._allowed(wanted)
            self._switch(target)
        halt = read_halt(halt_path(self._pointer))
        if halt and not (wanted.staging and wanted.staging.version == halt.version):
            halt_path(self._pointer).unlink(missing_ok=True)  # it left staging: it may come again

    def _allowed(self, wanted: Lineup) -> Lineup:
        """What is wanted, without what was refused or halted."""
        halt = read_halt(halt_path(self._pointer))
        barred = set(self._refused) | ({halt.version} if halt else set())

        def unless_barred(served: Served | None) -> Served | None:
            return None if served is None or served.version in barred else served

        production = wanted.production
        if production.version in self._refused:
            if self._lineup is None:
                why = self._refused[production.version]
                raise NotReadyError(f"version {production.version} takes no traffic: {why}")
            production = self._lineup.production
        return Lineup(production, unless_barred(wanted.staging), unless_barred(wanted.candidate))

    def _loaded(self) -> set[int]:
        present = set(self._lineup.versions()) if self._lineup else set()
        return present | set(self._leaving)

    def _bring_up(self, served: Served) -> None:
        """Load a version beside the others and prove it, or refuse it."""
        version = served.version
        try:
            export_version(served.folder, self._repository, version)
            self._golden[version] = read_golden(served.folder)
            self._load([*self._loaded(), version])
            for control in self._present():
                off = control.prove(version, self._golden[version])
                logger.info("version %d answers its golden clips, off by %.1e", version, off)
        except (NotReadyError, InputError) as error:
            self._present()  # without Triton nothing is known of the version
            logger.error("version %d takes no traffic: %s", version, error)
            self._refused[version] = str(error)
            if self._lineup:
                self._load(self._loaded())
                self._point(self._lineup)
            return
        self._leaving[version] = float("inf")  # loaded, and not served yet

    def _present(self) -> list[TritonControl]:
        """The Tritons that are there. One that is not is put right when it comes back.

        Raises:
            NotReadyError: there is none.
        """
        present = [control for control in self._controls if control.alive()]
        if not present:
            raise NotReadyError("the model server is away")
        return present

    def _load(self, versions: Iterable[int]) -> None:
        serve_versions(self._repository, versions, **self._host.model_dump())
        for control in self._present():
            self._wait_for(self._loader.submit(control.load))

    def _wait_for(self, load: "Future[None]") -> None:
        """Wait for a load; while one is under way, Triton cannot bring back what dies.

        Raises:
            NotReadyError: it failed.
            TritonDeadError: the process of a served version died meanwhile.
        """
        while not wait([load], timeout=0.5).done:
            if self._server and self._has_lost_processes():
                self._server.stop(grace=0)  # the next round starts it anew
                raise TritonDeadError("a model's process died while another version was loaded")
        load.result()

    def _switch(self, target: Lineup) -> None:
        """Give the traffic to other versions; those before stay a while."""
        before = self._loaded()
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

    def _let_go(self) -> None:
        now = time.monotonic()
        gone = {version for version, until in self._leaving.items() if until <= now}
        if gone:
            for version in gone:
                del self._leaving[version]
                self._golden.pop(version, None)
            self._load(self._loaded())
            logger.info("unloaded version %s", ", ".join(map(str, sorted(gone))))

    # What has died

    def _watch(self) -> None:
        if self._lineup is None:
            return
        for control in self._controls:
            if not control.alive():
                continue
            troubles = {
                version: trouble
                for version in self._lineup.versions()
                if (trouble := self._trouble(control, version))
            }
            if not troubles and self._has_lost_processes():
                # The version's other instances answered.
                troubles = dict.fromkeys(self._lineup.versions(), "one of its processes has died")
            for version, trouble in troubles.items():
                logger.warning("version %d on %s: %s", version, control.url, trouble)
            if troubles:
                self._revive(control, list(troubles))

    def _trouble(self, control: TritonControl, version: int) -> str:
        """What is wrong with a version; empty if it answers rightly, or is only busy."""
        golden = min(self._golden[version], key=lambda golden: len(golden.audio))
        died = self._has_lost_processes()
        for _ in range(self._host.instances):
            try:
                control.check(version, golden, timeout=SHORT_QUESTION if died else QUESTION)
            except TritonFullError:
                return ""
            except TritonLateError as error:
                return str(error) if died else self._hangs(control, version, str(error))
            except (TritonError, NotReadyError) as error:
                return str(error)
        self._late.pop((control.url, version), None)
        return ""

    def _has_lost_processes(self) -> bool:
        """Whether our own tritonserver lacks some: what waits for a dead one waits for long."""
        expected = len(self._loaded()) * self._host.instances
        return self._server is not None and len(self._server.stubs()) < expected

    def _hangs(self, control: TritonControl, version: int, why: str) -> str:
        """A late answer is trouble once nobody else gets one either."""
        key, answered = (control.url, version), control.statistics(version).answered
        times, before = self._late.get(key, (0, answered))
        times = times + 1 if answered == before else 1
        self._late[key] = (times, answered)
        if times < STUCK:
            return ""
        del self._late[key]
        return why

    def _revive(self, control: TritonControl, versions: Sequence[int]) -> None:
        """Have Triton make versions' processes anew; the other versions go on answering."""
        for version in versions:
            touch_version(self._repository, version)
        control.load()
        for version in versions:
            control.prove(version, self._golden[version])
            logger.info("version %d on %s answers again", version, control.url)
        self._count_revival()

    def _count_revival(self) -> None:
        self._revivals += 1
        if self._lineup:
            self._point(self._lineup)
