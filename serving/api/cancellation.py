"""A request's work ends when its sender hangs up or its deadline passes."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from components.base import Stopped
from serving.engine.scheduling import Work
from serving.errors import LateError

T = TypeVar("T")

_ENDING: set["asyncio.Future[Any]"] = set()
"""Cancelled tasks that have not ended yet; the event loop itself keeps no reference to them."""


async def run_while_wanted(request: Request, work: Work, coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, unless the sender hangs up or the work's deadline passes before; the
    work is stopped then. The request's body must have been read.

    Raises:
        LateError: the deadline passed.
        Stopped: the sender has gone.
    """
    task = asyncio.ensure_future(coroutine)
    disconnect = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait(
            {task, disconnect}, timeout=work.remaining(), return_when=asyncio.FIRST_COMPLETED
        )
        if task.done():
            return task.result()
        if disconnect.done():
            raise Stopped("the sender has gone")
        raise LateError("the deadline passed before the work was done")
    finally:
        disconnect.cancel()
        if not task.done():
            work.stop()
            task.cancel()  # it ends at its next step; the answer does not wait for that
            _ENDING.add(task)
            task.add_done_callback(_ENDING.discard)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
