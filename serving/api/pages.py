"""The pages at `/` and `/operations` with their files, and `/docs`: what a browser shows, each with
the policy that holds it in."""

import base64
import hashlib
import importlib.util
import re
import secrets
from functools import cache
from html import escape
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

from components.conversation import DOUBTFUL
from serving.api.page_files import PLACES, file_named, page_digest, template
from serving.engine.prediction_log import LogSettings

PAGES = APIRouter(include_in_schema=False)

DOUBTFUL_LABEL = 0.5
"""A label that is less probable is marked as doubtful on the page, as is an uncertain one."""

DOUBTFUL_WORD = 0.5
"""The same of a recognised word."""

CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    f"{CLOSED}; script-src 'self'; style-src 'self' 'nonce-{{nonce}}'; connect-src 'self'; "
    "media-src blob:; img-src 'self' data:"
)
"""No script and no style but the page's own files, and one style that wavesurfer.js makes."""
DOCS_POLICY = (
    f"{CLOSED}; style-src 'self' 'unsafe-inline'; script-src 'self' {{scripts}}; "
    "connect-src 'self'; img-src 'self' data:"
)

VERSION = "X-Moodline-Page"
"""The header by which a page that is open learns that there is another one now."""

FOR_EVER = "public, max-age=31536000, immutable"


def _shown(html: str, policy: str, **more: str) -> HTMLResponse:
    """A page under that policy, which no other site can show in a frame."""
    headers = {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(html, headers=headers | more)


@PAGES.api_route("/", methods=["GET", "HEAD"])
async def page() -> HTMLResponse:
    """Hear, see and correct a conversation; and what the settings keep of it."""
    kept, example = escape(LogSettings().sentence()), "yes" if _example() else ""
    return _filled("index", kept=kept, example=example)


@PAGES.api_route("/operations", methods=["GET", "HEAD"])
async def operations() -> HTMLResponse:
    """What is served, and why; for who has an operator's key, the buttons that change it."""
    return _filled("operations")


def _filled(name: str, **more: str) -> HTMLResponse:
    """A page, its `{{…}}` filled in, which is fetched anew each time."""
    html, nonce = template(name), secrets.token_urlsafe(16)
    values = {
        "digest": page_digest(),
        "nonce": nonce,
        "places": str(PLACES),
        "doubtful": str(DOUBTFUL),
        "doubtful_label": str(DOUBTFUL_LABEL),
        "doubtful_word": str(DOUBTFUL_WORD),
    }
    for field, value in (values | more).items():
        html = html.replace(f"{{{{{field}}}}}", value)
    fresh = {"Cache-Control": "no-store", VERSION: page_digest()}
    policy = PAGE_POLICY.format(nonce=nonce)
    return _shown(html, policy, **fresh, **{"Permissions-Policy": "microphone=(self)"})


@PAGES.api_route("/page/{digest}/example.wav", methods=["GET", "HEAD"])
async def example(digest: str) -> Response:
    """The built-in example: a real telephone call, as pyannote.audio ships it."""
    found = _example()
    if found is None:
        raise HTTPException(404, "this service has no example")
    return FileResponse(found, media_type="audio/wav", headers={"Cache-Control": "no-cache"})


@PAGES.api_route("/page/{digest}/{name:path}", methods=["GET", "HEAD"])
async def page_file(request: Request, digest: str, name: str) -> Response:
    """A file of the page. Its address holds the digest of all of them, so it never changes."""
    file = file_named(name) if digest == page_digest() else None
    if file is None:
        raise HTTPException(404, "the page was renewed; reload it")
    headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, media_type=file.kind, headers=headers)
    return Response(file.content, media_type=file.kind, headers=headers)


@cache
def _example() -> Path | None:
    try:
        spec = importlib.util.find_spec("pyannote.audio")
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None:
        return None
    sample = Path(spec.origin).parent / "sample" / "sample.wav"
    return sample if sample.is_file() else None


@PAGES.api_route("/docs", methods=["GET", "HEAD"])
async def docs() -> HTMLResponse:
    """The OpenAPI page. Its files come from here: nothing is fetched from elsewhere."""
    made = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Moodline",
        swagger_js_url="static_content/swagger-ui-bundle.js",
        swagger_css_url="static_content/swagger-ui.css",
        swagger_favicon_url="static_content/favicon-light-32x32.png",
    )
    html = bytes(made.body).decode()
    return _shown(html, DOCS_POLICY.format(scripts=_inline_scripts(html)))


def _inline_scripts(html: str) -> str:
    """The hashes that let a page's own inline scripts run, and no others."""
    digests = (
        hashlib.sha256(script.encode()).digest()
        for script in re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    )
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
