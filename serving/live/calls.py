"""The live calls of one process: who may begin one, and which go on after a lost connection."""

import asyncio
import contextlib
import logging
from contextlib import ExitStack

from components.conversation import Seconds, recording_names
from serving import metrics
from serving.engine.options import Options
from serving.engine.runtime import Runtime
from serving.engine.scheduling import Places, Sender
from serving.errors import BusyError, RestartError
from serving.live.call import Call

logger = logging.getLogger(__name__)

RESUME_SECONDS: Seconds = 60.0
"""So long a call waits for its sender after the connection broke."""

UNKNOWN_CALL = (
    "this call is not known here: it was given up, or the service was started anew; begin a new one"
    " and send all of it"
)


class Calls:
    """Calls by their ids. A call's state lies in this process alone; use it from one event loop.

    Args:
        places: how many there may be.
        max_seconds: how long each may last.
    """

    def __init__(self, runtime: Runtime, places: int, max_seconds: Seconds) -> None:
        self._runtime, self._max_seconds = runtime, max_seconds
        self._places = Places(places)
        self._calls: dict[str, tuple[Call, ExitStack]] = {}
        self._lines: dict[str, asyncio.Event] = {}
        self._giving_up: dict[str, asyncio.Task[None]] = {}

    def begin(self, id: str, sender: Sender, options: Options) -> Call:
        """A new call.

        Raises:
            BusyError: there is no place, or none for this sender.
            NotReadyError, InputError: as of `Speech.check_live`.
        """
        self._runtime.speech.check_live(options)
        if not self._places.has_room(sender):
            metrics.LIVE_ENDED.labels("full").inc()
            raise BusyError("all places for live calls are taken; try again later")
        call = Call(id, sender, options, self._runtime, self._max_seconds)
        place = ExitStack()
        place.enter_context(self._places.taken(sender))
        self._calls[id] = (call, place)
        self._count()
        call.start()
        return call

    def find(self, id: str, sender: Sender) -> Call:
        """A call of that sender that goes on.

        Raises:
            RestartError: there is none.
        """
        call, _ = self._calls.get(id, (None, None))
        if call is None or call.sender.name != sender.name:
            raise RestartError(UNKNOWN_CALL)
        return call

    def connect(self, call: Call) -> asyncio.Event:
        """A connection has the call from now on; what had it before is told so.

        Returns:
            Set once another connection has it.
        """
        if giving_up := self._giving_up.pop(call.id, None):
            giving_up.cancel()
        if before := self._lines.get(call.id):
            before.set()
        line = self._lines[call.id] = asyncio.Event()
        return line

    def give_place_back(self, call: Call) -> None:
        """The call is a job's by now; it stays known for who asks once more."""
        if call.id in self._calls:
            self._calls[call.id][1].close()
            self._count()

    def _count(self) -> None:
        metrics.LIVE_CALLS.set(sum(not call.job for call, _ in self._calls.values()))

    def disconnect(self, call: Call, line: asyncio.Event) -> None:
        """The connection broke: wait for the next one for a while."""
        if self._lines.get(call.id) is line and call.id in self._calls:
            del self._lines[call.id]
            self._giving_up[call.id] = asyncio.create_task(self._give_up(call))

    async def _give_up(self, call: Call) -> None:
        await asyncio.sleep(RESUME_SECONDS)
        del self._giving_up[call.id]
        await self.drop(call, "handed_over" if call.job else "abandoned")

    async def drop(self, call: Call, outcome: str) -> None:
        """End a call; its sound is deleted. `outcome` is how, for the metric."""
        if call.id not in self._calls:
            return
        _, place = self._calls.pop(call.id)
        place.close()
        self._lines.pop(call.id, None)
        if giving_up := self._giving_up.pop(call.id, None):
            giving_up.cancel()
        self._count()
        metrics.LIVE_ENDED.labels(outcome).inc()
        logger.info("live call %s: %s after %.0f s of sound", call.id, outcome, call.sound.seconds)
        await call.drop()

    async def erase(self, name: str, owner: str) -> int:
        """End a key's calls of that name, and forget them; how many there were."""
        names = recording_names(name)
        named = [
            call
            for call, _ in self._calls.values()
            if call.asked.session_id in names and call.sender.name == owner and not call.job
        ]
        for call in named:
            await self.drop(call, "dropped")
        return len(named)

    async def stop(self) -> None:
        """End all."""
        for call, _ in list(self._calls.values()):
            with contextlib.suppress(Exception):
                await self.drop(call, "dropped")
