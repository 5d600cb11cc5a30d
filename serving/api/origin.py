"""Whose page a request comes from: other sites' pages may not use the service in their visitors'
browsers.

A browser says in `Origin` and `Sec-Fetch-Site` which page asks. And it says in `Host` which name it
asked for: a page of another site can have its own name lead here (DNS rebinding), and would then
count as ours. An address cannot be led anywhere, and who has a key is no page that was led here.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.limits import refuse

ANY_HOST = "*"
NOWHERE: tuple[str, int | None] = ("", None)


class OriginCheck:
    """ASGI middleware: answers 403 to requests of other sites' pages.

    Where no keys are set, `app.state.hosts` has the names by which the service may be asked;
    `*` stands for any. Addresses and `localhost` need not be there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        fault = ""
        if scope["type"] == "http":
            state = scope["app"].state
            fault = _foreign_page(scope, state.hosts) or (
                "" if state.keys is not None else _foreign_name(scope, state.hosts)
            )
        if fault:
            await refuse(receive, send, 403, fault)
            return
        await self.app(scope, receive, send)


def _foreign_name(scope: Scope, hosts: Collection[str]) -> str:
    for asked in _values(scope, b"host"):
        name, _ = _place(f"//{asked}")
        if not _is_address(name) and name != "localhost" and not {name, ANY_HOST} & {*hosts}:
            return (
                "this service does not answer to the name in “Host”; its operator lists names in"
                " MOODLINE_SERVE_HOSTS, or sets API keys"
            )
    return ""


def _foreign_page(scope: Scope, hosts: Collection[str]) -> str:
    fault = "pages of other sites may not use this service"
    sites = _values(scope, b"sec-fetch-site")
    if "cross-site" in sites:
        # A link to our page is followed; what the link's page sends or embeds is not.
        followed = _values(scope, b"sec-fetch-mode") == ["navigate"] and scope["method"] == "GET"
        return "" if followed and scope["path"] in ("/", "/docs") else fault
    if sites == ["same-origin"]:
        return ""
    here = [_place(f"//{host}") for host in _values(scope, b"host")]
    for origin in map(_place, _values(scope, b"origin")):
        if origin == NOWHERE or (origin not in here and origin[0] not in hosts):
            return fault
    return ""


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


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
