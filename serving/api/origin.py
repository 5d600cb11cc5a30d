"""Whose page a request comes from: other sites' pages may not use the service in their visitors'
browsers.

A browser says in `Origin` and `Sec-Fetch-Site` which page asks. And it says in `Host` which name it
asked for: a page of another site can have its own name lead here (DNS rebinding), and would then
count as ours. An address cannot be led anywhere.

Where a key is needed, it is what protects: no browser adds an API key by itself, so the names in
`Host` and `Origin` do not count then. What a browser calls `cross-site` is refused even with a key,
because a gateway may add the key to all that it lets through.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from serving.api.limits import OWNER, refuse
from serving.api.middleware import HttpMiddleware
from serving.settings import ANY_HOST, is_address

NOWHERE: tuple[str, int | None] = ("", None)

NOT_OURS = "MOODLINE_SERVE_HOSTS; its operator lists names there, or sets API keys"


class OriginCheck(HttpMiddleware):
    """ASGI middleware: answers 403 to requests of other sites' pages. It stands behind `KeyCheck`.

    `app.state.hosts` has the names by which the service may be asked, and whose pages may ask it:
    by http or https, at every port, as a proxy may keep any of it from us. `*` stands for any name.
    Addresses and `localhost` need not be there for the service itself.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if fault := foreign_page(scope, keyed=bool(scope.get(OWNER))):
            await refuse(receive, send, 403, fault)
            return
        await self.app(scope, receive, send)


def foreign_page(scope: Scope, *, keyed: bool) -> str:
    """Why a request or a connection comes from another site's page; empty where it does not.

    Args:
        keyed: whether its sender's key is known.
    """
    state = scope["app"].state
    fault = _cross_site(scope)
    if not fault and not keyed:
        fault = _foreign_origin(scope, state.hosts)
    if not fault and state.keys is None:
        fault = _foreign_host(scope, state.hosts)
    return fault


def _cross_site(scope: Scope) -> str:
    if "cross-site" not in _values(scope, b"sec-fetch-site"):
        return ""
    # A link to our page is followed; what the link's page sends or embeds is not.
    followed = _values(scope, b"sec-fetch-mode") == ["navigate"] and scope.get("method") == "GET"
    if followed and scope["path"] in ("/", "/docs", "/operations"):
        return ""
    return "pages of other sites may not use this service; ask it from the server of your page"


def _foreign_origin(scope: Scope, hosts: Collection[str]) -> str:
    if _values(scope, b"sec-fetch-site") == ["same-origin"]:
        return ""
    here = [_place(f"//{host}") for host in _values(scope, b"host")]
    for origin in _values(scope, b"origin"):
        place = _place(origin)
        web = origin.lower().startswith(("http://", "https://"))
        if place == NOWHERE or not (place in here or (web and _is_listed(place[0], hosts))):
            return f"the page in “Origin” is neither this service's own nor in {NOT_OURS}"
    return ""


def _foreign_host(scope: Scope, hosts: Collection[str]) -> str:
    for asked in _values(scope, b"host"):
        name, _ = _place(f"//{asked}")
        if not (is_address(name) or name == "localhost" or _is_listed(name, hosts)):
            return f"the name in “Host” is not in {NOT_OURS}"
    return ""


def _is_listed(name: str, hosts: Collection[str]) -> bool:
    return name in hosts or ANY_HOST in hosts


def _values(scope: Scope, header: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for name, value in scope["headers"] if name == header]


def _place(url: str) -> tuple[str, int | None]:
    """The name in a URL, in lower case, and its port, None for a scheme's own."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return NOWHERE
    return (parts.hostname or "").rstrip("."), None if port in (80, 443) else port
