"""Checks before a request's body is read: its sender, its sender's rate, its size."""

import ipaddress
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.base import DatabaseAwayError, InputError
from serving.api.middleware import HttpMiddleware
from serving.api.rate_limit import count_request
from serving.engine.scheduling import NOBODY, Places, Sender
from serving.keys import Key, Keys
from serving.settings import SMALL_UPLOAD_BYTES
from serving.threads import KEYS

logger = logging.getLogger(__name__)

OWNER = "moodline.owner"
"""The scope's key for the name of the API key that was sent; empty where there are no keys."""

SENDER = "moodline.sender"
"""The scope's key for the same as a `Sender`."""

REVIEWER = "moodline.reviewer"
"""The scope's key for whether the sender may give a reviewer's feedback."""

OPERATOR = "moodline.operator"
"""The scope's key for whether the sender may change which version is served: never without keys."""

RETRY_SECONDS = "5"


class MaxBodySize(HttpMiddleware):
    """ASGI middleware: answers 413 to a body of more than `max_bytes`, or than the lower limit of
    its path in `smaller`."""

    def __init__(self, app: ASGIApp, max_bytes: int, smaller: Mapping[str, int]) -> None:
        super().__init__(app)
        self.max_bytes = max_bytes
        self.smaller = smaller

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        limit = self.smaller.get(scope["path"], self.max_bytes)
        size = f"{limit / 1e6:g} megabytes" if limit >= 1e6 else f"{limit / 1e3:g} kilobytes"
        setting = "" if limit < self.max_bytes else " (MOODLINE_MAX_UPLOAD_MEGABYTES)"
        detail = f"the upload is larger than {size}{setting}"
        announced = announced_bytes(scope)
        if announced is not None and announced > limit:
            await refuse(receive, send, 413, detail, drain=2 * limit)
            return
        read = 0
        more = True

        async def counting_receive() -> Message:
            nonlocal read, more
            message = await receive()
            read += len(message.get("body", b""))
            more = bool(message.get("more_body", False))
            # To the application a body that is too large looks like a sender who has gone.
            return {"type": "http.disconnect"} if read > limit else message

        async def send_if_small(message: Message) -> None:
            if read <= limit:
                await send(message)

        await self.app(scope, counting_receive, send_if_small)
        if read > limit:
            await refuse(receive, send, 413, detail, drain=2 * limit - read if more else 0)


class ConcurrentUploads(HttpMiddleware):
    """ASGI middleware: answers 429 while `max_uploads` large bodies, or bodies without an announced
    length, are being received, or the sender's share in them: of its key, or where there are no
    keys of its address.

    A body is written to the disk before anything can say that too many recordings are waiting.
    """

    def __init__(self, app: ASGIApp, max_uploads: int) -> None:
        super().__init__(app)
        self._receiving = Places(max_uploads)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if not _is_large(scope):
            await self.app(scope, receive, send)
            return
        sender = scope.get(SENDER) or Sender(_network(scope), shares=True)
        if not self._receiving.has_room(sender):
            detail = "too many uploads are being received; try again later"
            drain = announced_bytes(scope) or 2 * SMALL_UPLOAD_BYTES
            await refuse(receive, send, 429, detail, {"retry-after": RETRY_SECONDS}, drain=drain)
            return
        with ExitStack() as place:
            place.enter_context(self._receiving.taken(sender))

            async def receive_and_leave() -> Message:
                message = await receive()
                if not message.get("more_body", False):
                    place.close()
                return message

            await self.app(scope, receive_and_leave, send)


class KeyCheck(HttpMiddleware):
    """ASGI middleware: only known keys may ask `/v1/…`, each as often as its limit allows.

    Where no keys are set (`app.state.keys` is None) everybody may.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        keys: Keys | None = scope["app"].state.keys if scope["path"].startswith("/v1/") else None
        scope[REVIEWER] = keys is None
        if keys is None:
            await self.app(scope, receive, send)
            return
        header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        key = await known_key(scope["app"].state, header)
        if isinstance(key, Refusal):
            await refuse(receive, send, key.status, key.detail, key.headers)
            return
        scope[OWNER], scope[REVIEWER] = key.name, key.reviewer
        scope[OPERATOR] = key.operator
        scope[SENDER] = Sender(key.name, shares=keys.several)
        await self.app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a sender may not ask."""

    status: int
    detail: str
    headers: Mapping[str, str]


async def known_key(state: Any, authorization: str) -> Key | Refusal:
    """The key that was sent; this use of it is counted.

    Args:
        state: the application's, with `keys` and `database`.
        authorization: the header's text.
    """
    keys: Keys = state.keys
    scheme, _, token = authorization.partition(" ")
    try:
        key = keys.find(token.strip()) if scheme.lower() == "bearer" else None
    except InputError:
        return Refusal(503, "the API keys cannot be read; ask the operator", {})
    if key is None:
        detail = "send a valid API key in the header “Authorization: Bearer …”"
        return Refusal(401, detail, {"www-authenticate": "Bearer"})
    if key.per_minute is None:
        return key
    try:
        count, seconds_left = await KEYS.run(count_request, state.database, key.name)
    except DatabaseAwayError as error:
        logger.error("%s", error)
        detail = f"{error.answer}; try again in a moment"
        return Refusal(503, detail, {"retry-after": RETRY_SECONDS})
    if count > key.per_minute:
        detail = f"this key may ask {key.per_minute} times a minute"
        return Refusal(429, detail, {"retry-after": str(int(seconds_left) + 1)})
    return key


async def known_sender(state: Any, authorization: str) -> Sender | Refusal:
    """As `known_key`, whose key it is; nobody's where no keys are set."""
    if state.keys is None:
        return NOBODY
    key = await known_key(state, authorization)
    return key if isinstance(key, Refusal) else Sender(key.name, shares=state.keys.several)


def sender_of(scope: Scope) -> Sender:
    """Whose key was sent."""
    sender: Sender = scope.get(SENDER, NOBODY)
    return sender


def _network(scope: Scope) -> str:
    """The sender's address; of IPv6 the half that its provider gave it, and empty if unknown."""
    host, *_ = scope.get("client") or ("",)
    try:
        return str(ipaddress.IPv6Network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return str(host)


def announced_bytes(scope: Scope) -> int | None:
    """The length of a request's body by its header; None where there is none."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length[:20]) if length.isdigit() else None  # 20 digits are too many for any limit


def _is_large(scope: Scope) -> bool:
    announced = announced_bytes(scope)
    if announced is None:
        return b"transfer-encoding" in dict(scope["headers"])
    return announced > SMALL_UPLOAD_BYTES


async def refuse(
    receive: Receive,
    send: Send,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    drain: int = 10_000_000,
) -> None:
    """Answer without the application.

    Args:
        drain: bytes of the body to read and drop first, because a sender that is cut off in the
            middle of its body never sees the answer.
    """
    more = drain > 0
    while more and drain > 0:
        message = await receive()
        drain -= len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    answer = JSONResponse({"detail": detail}, status, {"connection": "close", **(headers or {})})
    await answer({"type": "http"}, receive, send)
