"""What is settled before a request's body is read: who asks, how often, how large it may be."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from components.base import DatabaseAwayError, InputError
from components.conversation import Seconds
from serving.api.job_store import Store
from serving.keys import Keys

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OWNER = "moodline.owner"
"""Where the scope holds the name of the key that was presented; empty where there are none."""

RETRY_SECONDS = "5"

SMALL = 1_000_000
"""Bytes of an upload that is held in memory while it is received; larger ones lie on the disk."""

STALLED: Seconds = 60.0
"""Without a byte of a large upload its sender is taken for gone."""


class UploadLimit:
    """ASGI middleware: answers 413 to a body of more than `max_bytes`.

    Args:
        app: what stands behind.
        max_bytes: of any body.
        smaller: lower limits, by path.
    """

    def __init__(self, app: App, max_bytes: int, smaller: Mapping[str, int]) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.smaller = smaller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.smaller.get(scope["path"], self.max_bytes)
        size = f"{most / 1e6:g} megabytes" if most >= 1e6 else f"{most / 1e3:g} kilobytes"
        detail = f"the upload is larger than {size}"
        announced = announced_bytes(scope)
        if announced is not None and announced > most:
            await refuse(receive, send, 413, detail, drain=2 * most)
            return
        read = 0
        more = True

        async def counted() -> Message:
            nonlocal read, more
            message = await receive()
            read += len(message.get("body", b""))
            more = bool(message.get("more_body", False))
            # To the application too large a body looks like a sender who has gone.
            return {"type": "http.disconnect"} if read > most else message

        async def watched(message: Message) -> None:
            if read <= most:
                await send(message)

        await self.app(scope, counted, watched)
        if read > most:
            await refuse(receive, send, 413, detail, drain=2 * most - read if more else 0)


class UploadsAtOnce:
    """ASGI middleware: answers 429 where too many large bodies are being received already.

    What is received lies on the disk before anybody can say that too many are waiting.

    Args:
        app: what stands behind.
        most: large bodies, and those of a length that was not announced.
    """

    def __init__(self, app: App, most: int) -> None:
        self.app = app
        self.most = most
        self._receiving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not _large(scope):
            await self.app(scope, receive, send)
            return
        if self._receiving >= self.most:
            detail = "too many uploads are being received; try again later"
            drain = announced_bytes(scope) or 2 * SMALL
            await refuse(receive, send, 429, detail, {"retry-after": RETRY_SECONDS}, drain=drain)
            return
        self._receiving += 1
        receiving = True

        def received() -> None:
            nonlocal receiving
            self._receiving -= receiving
            receiving = False

        async def watched() -> Message:
            if not receiving:
                return await receive()
            try:
                async with asyncio.timeout(STALLED):
                    message = await receive()
            except TimeoutError:
                message = {"type": "http.disconnect"}
            if not message.get("more_body", False):
                received()
            return message

        try:
            await self.app(scope, watched, send)
        finally:
            received()


class Guard:
    """ASGI middleware: lets only known keys ask `/v1/…`, each as often as it may.

    Where no keys are set (`app.state.keys` is None) everybody may.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        guarded = scope["type"] == "http" and scope["path"].startswith("/v1/")
        keys: Keys | None = scope["app"].state.keys if guarded else None
        if keys is None:
            await self.app(scope, receive, send)
            return
        header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        scheme, _, presented = header.partition(" ")
        try:
            key = keys.find(presented.strip()) if scheme.lower() == "bearer" else None
        except InputError:
            await refuse(receive, send, 503, "the API keys cannot be read; ask the operator")
            return
        if key is None:
            detail = "send a valid API key in the header “Authorization: Bearer …”"
            await refuse(receive, send, 401, detail, {"www-authenticate": "Bearer"})
            return
        if key.per_minute is not None:
            store: Store = scope["app"].state.store
            try:
                count, left = await asyncio.to_thread(store.use, key.name)
            except DatabaseAwayError as error:
                logger.error("%s", error)
                detail = f"{error.answer}; try again in a moment"
                await refuse(receive, send, 503, detail, {"retry-after": RETRY_SECONDS})
                return
            if count > key.per_minute:
                detail = f"this key may ask {key.per_minute} times a minute"
                await refuse(receive, send, 429, detail, {"retry-after": str(int(left) + 1)})
                return
        scope[OWNER] = key.name
        await self.app(scope, receive, send)


def announced_bytes(scope: Scope) -> int | None:
    """How long a request's body is, as its header has it; None where it does not say."""
    announced = dict(scope["headers"]).get(b"content-length", b"")
    if not announced.isdigit():
        return None
    # Python reads no numbers of thousands of digits; twenty are too many bytes for anybody.
    return int(announced.lstrip(b"0")[:20] or b"0")


def _large(scope: Scope) -> bool:
    announced = announced_bytes(scope)
    if announced is None:
        return b"transfer-encoding" in dict(scope["headers"])
    return announced > SMALL


async def refuse(
    receive: Receive,
    send: Send,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    drain: int = 10_000_000,
) -> None:
    """Answer without an application.

    Args:
        drain: so many bytes of the body are read and dropped first, because a sender that is cut
            off in the middle never sees the answer.
    """
    more = drain > 0
    while more and drain > 0:
        message = await receive()
        drain -= len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    given = {"content-type": "application/json", "connection": "close", **(headers or {})}
    lines = [(name.encode(), value.encode()) for name, value in given.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": json.dumps({"detail": detail}).encode()})
