"""The page at `/`, and `/docs`: what a browser shows, each with the policy that holds it in."""

import base64
import hashlib
import re
from html import escape
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from components.conversation import DOUBTFUL
from components.reporting.colours import label_colours
from serving.engine.prediction_log import LogSettings

PAGES = APIRouter(include_in_schema=False)

PAGE = Path(__file__).with_name("page.html")

PLACES = 24
"""So many labels have a colour of their own on the page, the reports' one; more begin again."""

CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    f"{CLOSED}; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "media-src blob:; img-src data:"
)
DOCS_POLICY = (
    f"{CLOSED}; style-src 'self' 'unsafe-inline'; script-src 'self' {{scripts}}; "
    "connect-src 'self'; img-src 'self' data:"
)


def _shown(html: str, policy: str) -> HTMLResponse:
    """A page under that policy, which no other site can show in a frame."""
    headers = {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(html, headers=headers)


@PAGES.api_route("/", methods=["GET", "HEAD"])
async def page() -> HTMLResponse:
    """Drop a recording, see its turns; and what the settings keep of it."""
    html = PAGE.read_text(encoding="utf-8")
    colours = (
        f"--label-{place}: light-dark({colour}, color-mix(in srgb, {colour} 70%, white));"
        for place, colour in enumerate(label_colours(PLACES))
    )
    values = {
        "kept": escape(LogSettings().sentence()),
        "colours": "\n  ".join(colours),
        "places": str(PLACES),
        "doubtful": str(DOUBTFUL),
    }
    for name, value in values.items():
        html = html.replace(f"{{{{{name}}}}}", value)
    return _shown(html, PAGE_POLICY)


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
