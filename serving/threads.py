"""Threads for what blocks, each pool for one purpose: whoever fills one keeps no other waiting.

`asyncio.to_thread` has one small pool for everything. There, a few slow requests of one kind stop
all other kinds, and the leases of jobs with them.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """At most `count` threads, which are started when they are needed."""

    def __init__(self, purpose: str, count: int) -> None:
        self.purpose = purpose
        self.count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=purpose)

    def start(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> "asyncio.Future[T]":
        """Call a function in one of the threads, in the caller's context (its trace, say)."""
        call = partial(contextvars.copy_context().run, function, *args, **kwargs)
        return asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `start`: what the function returns or raises."""
        return await self.start(function, *args, **kwargs)

    async def run_through(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, and a caller that is cancelled goes on only once the function has ended."""
        return await through(self.start(function, *args, **kwargs))

    def stop(self) -> None:
        """Start nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def through(work: "Coroutine[Any, Any, T] | asyncio.Future[T]") -> T:
    """Its result; a caller that is cancelled goes on only once it has ended."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait({task})


ALIGNMENT = Threads("alignment", 1)  # of `/v1/align`
CLIPS = Threads("clips", 4)  # sound and log of `/v1/classify`
ERASURE = Threads("erasure", 1)
FEEDBACK = Threads("feedback", 2)
KEYS = Threads("keys", 2)  # counts of their use
LEASES = Threads("leases", 2)  # of the job that this process works on
NUMBERS = Threads("numbers", 1)  # the metrics in short, also while the registry hangs
OPERATIONS = Threads("operations", 1)  # the registry, for who operates the service
RECORDINGS = Threads("recordings", 4)  # their lengths and their log
STORE = Threads("store", 4)  # what senders ask about their jobs
UPLOADS = Threads("uploads", 2)  # of jobs, while they are copied
WINDOWS = Threads("windows", 1)  # cut out of long turns
