"""Several Tritons that serve the same, and which of them to ask next."""

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from components.base import InputError
from components.conversation import Seconds
from serving.triton.errors import TritonDeadError

T = TypeVar("T")

LONGEST_REST: Seconds = 5.0
"""A Triton that failed is left out at most so long before it is tried again."""


def addresses(urls: str) -> tuple[str, ...]:
    """The host:port of each Triton in a comma-separated list, in order, each once.

    Raises:
        InputError: one is not host:port.
    """
    found = dict.fromkeys(part.strip() for part in urls.split(",") if part.strip())
    for url in found:
        host, colon, port = url.rpartition(":")
        if not (host and colon and port.isdecimal()) or "/" in host:
            raise InputError(f"MOODLINE_TRITON_URL: {url} is not host:port of Triton's gRPC")
    return tuple(found)


@dataclass(slots=True)
class Rest:
    """A Triton that failed is left out for a while, longer with each failure in a row."""

    failures: int = 0
    until: Seconds = 0.0


@dataclass(slots=True, eq=False)
class Replica:
    """One Triton as its callers see it.

    Attributes:
        url: host:port of its gRPC.
        calls: those that it has not answered yet, by model version.
        rests: by model version, since one may be broken where another answers.
    """

    url: str
    calls: defaultdict[str, set[asyncio.Future[Any]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    rests: defaultdict[str, Rest] = field(default_factory=lambda: defaultdict(Rest))

    @property
    def inside(self) -> int:
        """How many calls it has not answered yet."""
        return sum(map(len, self.calls.values()))

    async def waited(self, version: str, call: Coroutine[Any, Any, T]) -> T:
        """What a call comes to.

        Raises:
            TritonDeadError: it was dropped.
        """
        future = asyncio.ensure_future(call)
        calls = self.calls[version]
        calls.add(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future in calls:  # it is the caller who does not want it any more
                raise
            raise TritonDeadError("the process that had the request has died") from None
        finally:
            calls.discard(future)

    def drop(self, version: str) -> None:
        """Wait no longer for calls under way: the process that had them has died, and Triton may
        hold them for good."""
        calls = self.calls[version]
        while calls:
            calls.pop().cancel()

    def answered(self, version: str) -> None:
        """It answered: whatever failed before is over."""
        self.rests.pop(version, None)

    def failed(self, version: str, now: Seconds) -> None:
        """It did not answer: leave it out for a while."""
        rest = self.rests[version]
        rest.failures += 1
        # Jitter, so that many callers do not come back in the same moment.
        pause = min(0.1 * 2 ** min(rest.failures, 10), LONGEST_REST) * random.uniform(0.5, 1.0)
        rest.until = now + pause

    def usable(self, version: str, now: Seconds) -> bool:
        """Whether to ask it. After its rest it gets one request first, to see."""
        rest = self.rests.get(version)
        return rest is None or (now >= rest.until and self.inside == 0)


class Replicas:
    """Chooses the least busy of the Tritons that answer; among equals they take turns.

    Args:
        urls: host:port of each one's gRPC.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self.all = [Replica(url) for url in urls]
        self._turns = itertools.count()

    def choose(self, version: str, now: Seconds, tried: Collection[Replica] = ()) -> Replica:
        """The one to ask next. If none is usable, the one whose rest ends first: somebody must
        find out when they are back.

        Args:
            version: of the model.
            now: the time, in seconds.
            tried: those that have failed this very request; taken only if there is no other.
        """
        left = [replica for replica in self.all if replica not in tried] or self.all
        turn = next(self._turns)
        order = [left[(turn + i) % len(left)] for i in range(len(left))]
        usable = [replica for replica in order if replica.usable(version, now)]
        if tried:  # one request is not to find out about all that are away
            usable = [replica for replica in usable if version not in replica.rests] or usable
        if usable:
            return min(usable, key=lambda replica: replica.inside)
        return min(order, key=lambda replica: replica.rests[version].until)
