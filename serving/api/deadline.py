"""A request's work, while its sender waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from components.base import Stopped
from serving.engine.scheduling import Work
from serving.errors import LateError

T = TypeVar("T")


async def answered(request: Request, work: Work, doing: Coroutine[Any, Any, T]) -> T:
    """The result of what is being done, while its sender waits for it.

    Raises:
        LateError: the deadline passed.
        Stopped: the sender has gone.
    """
    task = asyncio.ensure_future(doing)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait(
            {task, gone}, timeout=work.remaining(), return_when=asyncio.FIRST_COMPLETED
        )
        if task.done():
            return task.result()
        if gone.done():
            raise Stopped("the sender has gone")
        raise LateError("the deadline passed before the work was done")
    finally:
        gone.cancel()
        if not task.done():
            work.stop()
            task.cancel()  # it ends at its next step; nobody is kept waiting for that
            _ENDING.add(task)
            task.add_done_callback(_ENDING.discard)


_ENDING: set["asyncio.Future[Any]"] = set()


async def _gone(request: Request) -> None:
    """Wait until the sender hangs up; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
