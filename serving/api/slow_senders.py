"""Who sends too slowly is not waited for: neither for a request's head nor for its body.

A sender that sends a byte now and then would otherwise hold a connection, and a large upload's
place, for as long as it likes.
"""

import asyncio
import time
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from components.conversation import Seconds
from serving.api.limits import refuse
from serving.api.middleware import HttpMiddleware

HEAD_SECONDS: Seconds = 20.0
"""The longest from a connection's first moment, or from a further request's first byte, to the end
of the request's head."""

PATIENCE: Seconds = 30.0
LEAST_BYTES_A_SECOND = 20_000
"""A body is waited for so many seconds, and a second more for so many bytes that have come; but
never longer at a time than at its beginning, however much came before."""


MAX_WEBSOCKET_FRAME = 100_000
"""Bytes; a connection that sends a larger one is closed with code 1009."""


class LeastRate(HttpMiddleware):
    """ASGI middleware: answers 408 to a body that comes too slowly.

    Only the time counts in which the sender is waited for.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        left, more, late = PATIENCE, True, False

        async def receive_in_time() -> Message:
            nonlocal left, more, late
            if not more:
                return await receive()
            began = time.monotonic()
            try:
                async with asyncio.timeout(left):
                    message = await receive()
            except TimeoutError:
                # To the application it looks like a sender who has gone.
                more, late = False, True
                return {"type": "http.disconnect"}
            left -= time.monotonic() - began
            left += len(message.get("body", b"")) / LEAST_BYTES_A_SECOND
            left = min(left, PATIENCE)
            more = bool(message.get("more_body", False))
            return message

        async def send_in_time(message: Message) -> None:
            if not late:
                await send(message)

        await self.app(scope, receive_in_time, send_in_time)
        if late:
            detail = f"the upload is slower than {LEAST_BYTES_A_SECOND / 1e3:g} kilobytes a second"
            await refuse(receive, send, 408, detail, drain=0)


class Connection(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """uvicorn's connection, closed when a request's head does not come within `HEAD_SECONDS`.

    uvicorn itself closes only connections that are idle after an answer.
    """

    _waiting: asyncio.TimerHandle | None = None
    _is_websocket = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """See whether this completes a head, or is part of one."""
        super().data_received(data)
        if self._answering() or self._is_websocket:
            self._wait_no_more()
        else:
            self._wait_for_head()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to uvicorn's WebSockets; BentoML passes no option on.

        Frames are small here, and sound becomes no smaller by compression. A sender whose frames
        have to wait cannot answer a ping in time, because its answer waits behind them;
        `serving.api.live` ends a connection that is silent.
        """
        self._is_websocket = True
        self.config.ws_max_size = MAX_WEBSOCKET_FRAME
        self.config.ws_per_message_deflate = False
        self.config.ws_ping_timeout = None
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._wait_no_more()

    def _answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _wait_for_head(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if not self._answering() and not self.transport.is_closing():
            self.transport.close()
