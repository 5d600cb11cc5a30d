"""The Tritons that are steered: which are there, whether their models answer, and a restart.

Only real questions tell whether a model answers. Triton goes on saying that a model is ready after
its process has died.
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from components.conversation import Seconds
from serving.errors import NotReadyError
from serving.settings import HostSettings
from serving.triton.control import Golden, TritonControl
from serving.triton.errors import TritonError, TritonFullError, TritonLateError
from serving.triton.server import TritonServer

logger = logging.getLogger(__name__)

QUESTION_SECONDS: Seconds = 5.0
"""The longest that the answer to one question may take."""

HANG_SECONDS: Seconds = 20.0
"""A version hangs once it has answered nobody, neither us nor others, for so long. A shorter
silence may be one large batch."""

SERVER_SILENT_SECONDS: Seconds = 10.0
"""Our own tritonserver is restarted once it has not answered at all for so long."""


class ServedFailedError(NotReadyError):
    """Served versions failed while another was loaded. That says nothing about the other."""

    def __init__(self, versions: Collection[int]) -> None:
        super().__init__("a served version failed while another was loaded")
        self.versions = versions


class Fleet:
    """The Tritons at these host:port of gRPC. `server` is the one that this process started, if
    there is one; a platform restarts others. Use it from one thread, which must live as long as
    `server`."""

    def __init__(
        self, urls: Sequence[str], server: TritonServer | None, host: HostSettings
    ) -> None:
        self.controls = [TritonControl(url, load_seconds=host.load_seconds) for url in urls]
        self._server = server
        self._instances = host.instances
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._server_answered_at = time.monotonic()
        self._silent: dict[tuple[str, int], tuple[int, Seconds]] = {}

    def close(self) -> None:
        """Close the connections."""
        self._loader.shutdown(wait=False, cancel_futures=True)
        for control in self.controls:
            control.close()

    def present(self) -> list[TritonControl]:
        """The Tritons that are there.

        Raises:
            NotReadyError: there is none.
        """
        present = [control for control in self.controls if control.alive()]
        if not present:
            raise NotReadyError("the model server is away")
        return present

    def unanswered(self) -> set[int]:
        """The versions whose last question got no answer in time."""
        return {version for _, version in self._silent}

    def restart_if_ended(self) -> bool:
        """Restart our own tritonserver if it has ended or is silent; whether it was restarted.

        Raises:
            NotReadyError: it does not come up.
        """
        if self._server is None:
            return False
        now = time.monotonic()
        if self._server.running and self.controls[0].alive():
            self._server_answered_at = now
            return False
        if self._server.running and now - self._server_answered_at < SERVER_SILENT_SECONDS:
            return False
        self.restart(self.controls[0])
        return True

    def restart(self, control: TritonControl) -> None:
        """Restart our own tritonserver, or have another Triton end its models' processes.

        Raises:
            NotReadyError: it does not come up, or does not do so.
        """
        logger.warning("restarting the model server at %s", control.url)
        if self._server is None:
            control.unload()
        else:
            self._server.stop(grace=0)
            self._server.start()
            self._server_answered_at = time.monotonic()
            self._silent.clear()

    def load(
        self,
        control: TritonControl,
        served: Mapping[int, list[Golden]],
        graphs: Collection[str] = (),
    ) -> None:
        """Load what is configured, and watch the served versions (each with its golden clips)
        meanwhile: a load may take long.

        Args:
            control: the Triton to load.
            served: versions that answer there already.
            graphs: as `TritonControl.load` takes them.

        Raises:
            NotReadyError: it failed.
            ServedFailedError: a served version failed meanwhile.
        """
        load = self._loader.submit(control.load, graphs)
        while not wait([load], timeout=1.0).done:
            if self._server is None:
                continue
            if failed := [v for v, golden in served.items() if self.failure(control, v, golden)]:
                self._server.stop(grace=0)  # the next step restarts it
                raise ServedFailedError(failed)
        load.result()

    def failure(self, control: TritonControl, version: int, golden: Sequence[Golden]) -> str:
        """Why a version does not answer a real question rightly; empty if it does, or is busy."""
        shortest = min(golden, key=lambda clip: len(clip.audio))
        key = (control.url, version)
        try:
            for _ in range(self._instances):  # idle instances take turns
                control.check(version, shortest, timeout=QUESTION_SECONDS)
        except (TritonFullError, TritonLateError) as error:
            try:
                answered, now = control.answer_count(version), time.monotonic()
            except NotReadyError:
                return ""  # nobody knows whether it is only busy: the next question tells
            before, since = self._silent.get(key, (-1, now))
            if answered != before:
                since = now
            self._silent[key] = (answered, since)
            return str(error) if now - since > HANG_SECONDS else ""
        except (TritonError, NotReadyError) as error:
            return str(error)
        self._silent.pop(key, None)
        return ""
