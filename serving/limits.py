"""What is settled before a request's body is read: who asks, how often, how large it may be."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from components.conversation import InputError
from serving.keys import Keys
from serving.store import Store

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OWNER = "moodline.owner"
"""Where the scope holds the name of the key that was presented; empty where there are none."""


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
        detail = f"the upload is larger than {most / 1e6:g} megabytes"
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > most:
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
            count, left = await asyncio.to_thread(store.use, key.name)
            if count > key.per_minute:
                detail = f"this key may ask {key.per_minute} times a minute"
                await refuse(receive, send, 429, detail, {"retry-after": str(int(left) + 1)})
                return
        scope[OWNER] = key.name
        await self.app(scope, receive, send)


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
