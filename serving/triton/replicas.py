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

MAX_BACKOFF_SECONDS: Seconds = 5.0
"""A Triton that failed is tried again after at most this time."""


def addresses(urls: str) -> tuple[str, ...]:
    """The host:port of each Triton in a comma-separated list, in order, each once; or, of one on
    this host, unix:/path of its socket.

    Raises:
        InputError: one is neither.
    """
    parts = dict.fromkeys(part.strip() for part in urls.split(",") if part.strip())
    for url in parts:
        host, colon, port = url.rpartition(":")
        is_socket = url.startswith("unix:/")
        if not is_socket and (not (host and colon and port.isdecimal()) or "/" in host):
            raise InputError(
                f"MOODLINE_TRITON_URL: {url} is neither host:port of Triton's gRPC nor unix:/path"
            )
    return tuple(parts)


@dataclass(slots=True)
class Backoff:
    """How often a Triton has failed, and until when it is left out."""

    failures: int = 0
    until: Seconds = 0.0


@dataclass(slots=True, eq=False)
class Replica:
    """One Triton as its callers see it.

    Attributes:
        url: host:port of its gRPC.
        calls: the calls that it has not answered yet, by model version.
        backoffs: by model version, since one may be broken where another answers.
    """

    url: str
    calls: defaultdict[str, set[asyncio.Future[Any]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    backoffs: defaultdict[str, Backoff] = field(default_factory=lambda: defaultdict(Backoff))

    @property
    def in_flight(self) -> int:
        """How many calls it has not answered yet."""
        return sum(map(len, self.calls.values()))

    async def result_of(self, version: str, call: Coroutine[Any, Any, T]) -> T:
        """The result of a call.

        Raises:
            TritonDeadError: the call was dropped.
        """
        future = asyncio.ensure_future(call)
        calls = self.calls[version]
        calls.add(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future in calls:  # the caller has cancelled it
                raise
            raise TritonDeadError("the process that had the request has died") from None
        finally:
            calls.discard(future)

    def drop(self, version: str) -> None:
        """Stop waiting for the calls under way: the process that had them has died, and Triton may
        never answer them."""
        calls = self.calls[version]
        while calls:
            calls.pop().cancel()

    def answered(self, version: str) -> None:
        """It answered: forget its failures."""
        self.backoffs.pop(version, None)

    def failed(self, version: str, now: Seconds) -> None:
        """It did not answer: leave it out for a while, longer with each failure."""
        backoff = self.backoffs[version]
        backoff.failures += 1
        # Jitter, so that many callers do not come back at the same moment.
        longest = min(0.1 * 2 ** min(backoff.failures, 10), MAX_BACKOFF_SECONDS)
        backoff.until = now + longest * random.uniform(0.5, 1.0)

    def usable(self, version: str, now: Seconds) -> bool:
        """Whether to ask it. After its backoff it first gets one request as a test."""
        backoff = self.backoffs.get(version)
        return backoff is None or (now >= backoff.until and self.in_flight == 0)


class Replicas:
    """Chooses the least busy of the Tritons that answer; among equals they take turns."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.all = [Replica(url) for url in urls]
        self._turns = itertools.count()

    def choose(self, version: str, now: Seconds, tried: Collection[Replica] = ()) -> Replica:
        """The one to ask next. If none is usable, it is the one whose backoff ends first: some
        request must test whether it is back. Those that this request has tried are taken again only
        if there is no other."""
        untried = [replica for replica in self.all if replica not in tried] or self.all
        turn = next(self._turns) % len(untried)
        order = untried[turn:] + untried[:turn]
        usable = [replica for replica in order if replica.usable(version, now)]
        if tried:  # one request must not test all that are away
            usable = [replica for replica in usable if version not in replica.backoffs] or usable
        if usable:
            return min(usable, key=lambda replica: replica.in_flight)
        return min(order, key=lambda replica: replica.backoffs[version].until)
