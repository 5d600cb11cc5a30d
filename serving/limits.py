"""No request body larger than allowed is read, whatever its headers say."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class UploadLimit:
    """ASGI middleware: answers 413 to a body of more than `max_bytes`.

    The rest of such a body is read and dropped, up to as much again, because a sender that is cut
    off in the middle never sees the answer.
    """

    def __init__(self, app: App, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self.max_bytes:
            await self._refuse(receive, send, 0)
            return
        read = 0
        more = True

        async def counted() -> Message:
            nonlocal read, more
            message = await receive()
            read += len(message.get("body", b""))
            more = bool(message.get("more_body", False))
            # To the application too large a body looks like a sender who has gone.
            return {"type": "http.disconnect"} if read > self.max_bytes else message

        async def watched(message: Message) -> None:
            if read <= self.max_bytes:
                await send(message)

        await self.app(scope, counted, watched)
        if read > self.max_bytes:
            await self._refuse(receive, send, read, more)

    async def _refuse(self, receive: Receive, send: Send, read: int, more: bool = True) -> None:
        while more and read <= 2 * self.max_bytes:
            message = await receive()
            read += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
        detail = f"the upload is larger than {self.max_bytes / 1e6:g} megabytes"
        body = json.dumps({"detail": detail}).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
