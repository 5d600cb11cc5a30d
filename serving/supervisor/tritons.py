"""The Tritons that are steered: which of them are there, and whether ours has lost something."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from components.conversation import Seconds
from serving.errors import NotReadyError
from serving.triton.control import TritonControl
from serving.triton.errors import TritonDeadError
from serving.triton.server import TritonServer

logger = logging.getLogger(__name__)

SILENT: Seconds = 10.0
"""How long our own tritonserver may not answer at all before it is started anew."""


class Tritons:
    """Use it from one thread, which must live as long as `server`.

    Args:
        urls: host:port of each one's gRPC.
        server: the one that is ours to start anew, if there is one.
        load_seconds: the longest that loading may take; a version that takes longer is refused.
    """

    def __init__(
        self, urls: Sequence[str], server: TritonServer | None, load_seconds: Seconds
    ) -> None:
        self.all = [TritonControl(url, load_seconds=load_seconds) for url in urls]
        self._server = server
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._heard = time.monotonic()

    def close(self) -> None:
        """Close the connections."""
        self._loader.shutdown(wait=False, cancel_futures=True)
        for control in self.all:
            control.close()

    def present(self) -> list[TritonControl]:
        """Those that are there. One that is not is put right when it comes back.

        Raises:
            NotReadyError: there is none.
        """
        present = [control for control in self.all if control.alive()]
        if not present:
            raise NotReadyError("the model server is away")
        return present

    def restart(self) -> bool:
        """Start our own anew if it has ended or does not answer any more; whether it was.

        Raises:
            NotReadyError: it does not come up.
        """
        if self._server is None:
            return False
        if self._server.running and self.all[0].alive():
            self._heard = time.monotonic()
            return False
        if self._server.running and time.monotonic() - self._heard < SILENT:
            return False
        logger.warning("tritonserver has ended or is silent; it is started anew")
        self._server.stop(grace=0)
        self._server.start()
        self._heard = time.monotonic()
        return True

    def lost(self, processes: int) -> bool:
        """Whether ours runs fewer models' processes: what waits for a dead one waits for long."""
        return self._server is not None and len(self._server.stubs()) < processes

    def load(self, control: TritonControl, processes: int) -> None:
        """Load what is configured; while one does, Triton cannot bring back what dies.

        Args:
            control: of the one that is to load.
            processes: of the models that are served meanwhile.

        Raises:
            NotReadyError: it failed.
            TritonDeadError: the process of a served version died meanwhile.
        """
        load = self._loader.submit(control.load)
        while not wait([load], timeout=0.5).done:
            if self._server and self.lost(processes):
                self._server.stop(grace=0)  # the next round starts it anew
                raise TritonDeadError("a model's process died while another version was loaded")
        load.result()
