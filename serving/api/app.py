"""The HTTP interface: the application, and one clear sentence for what is wrong.

`serving.api.routes` has the endpoints, `serving.api.schema` their types, and `serving.api.limits`
what is settled before a body is read.
"""

import errno
import logging
import re
import time
import uuid
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from components.base import InputError
from components.traffic import UnknownRequestError
from serving import metrics, traces
from serving.api.feedback import FEEDBACK
from serving.api.job_store import AWAY
from serving.api.limits import (
    NO_DATABASE,
    OWNER,
    RETRY_SECONDS,
    App,
    Guard,
    Message,
    Receive,
    Scope,
    Send,
    UploadLimit,
    UploadsAtOnce,
)
from serving.api.routes import OWN_DEADLINE, ROUTES
from serving.engine.scheduling import Work
from serving.errors import (
    BusyError,
    LateError,
    NotAudioError,
    NotReadyError,
    StoppedError,
    TooLongError,
)

logger = logging.getLogger(__name__)

PAGE = Path(__file__).with_name("page.html")
SMALLER = {  # what is parsed in the event loop is kept small
    "/v1/align": 10_000_000,  # a hundred thousand words
    "/v1/feedback": 10_000,
}
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'; media-src blob:; img-src data:; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
DESCRIPTION = """
Send a recording, get back who said what, when, and with which emotion:

```sh
curl -F audio=@call.wav http://localhost:3000/v1/analyze
```

* `/v1/analyze` answers when it is done, `/v1/jobs` at once and works in the background.
* `/v1/classify` takes turns that are cut already, `/v1/align` words and speaker segments.
* Every problem is answered with one sentence in `detail`; 429 and 503 say in `Retry-After` when
  to try again.
* `X-Deadline-Seconds` says how long you will wait; after that the answer is 504 and the work ends.
* Where the operator has set API keys, send yours as `Authorization: Bearer …`.
* `/healthz` (alive), `/readyz` (a recording sent now would be answered) and `/metrics` (for
  Prometheus) are answered beside this API.

Emotions are statistical guesses from sound and words, not facts about people.
"""
GONE = 499
"""Counted where nobody waits for the answer any more; it is no failure of the service."""

STATUSES: dict[type[Exception], int] = {
    UnknownRequestError: 404,  # before InputError, which it is
    TooLongError: 413,  # before InputError, which it is
    NotAudioError: 415,
    InputError: 422,
    BusyError: 429,
    NotReadyError: 503,
    LateError: 504,
    StoppedError: GONE,
}


def create_app(max_upload_bytes: int, uploads: int) -> FastAPI:
    """The application; the service that mounts it sets its `state`: runtime, jobs, store, keys.

    Args:
        max_upload_bytes: the largest request body that is read.
        uploads: how many large ones are received at a time.
    """
    app = FastAPI(
        title="Moodline",
        summary="Recordings in, speaker turns with emotions out.",
        description=DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        # `Counted` has the request's one span; FastAPI's logs would hold what was sent.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.keys = None
    app.add_middleware(UploadsAtOnce, most=uploads)
    app.add_middleware(UploadLimit, max_bytes=max_upload_bytes, smaller=SMALLER)
    app.add_middleware(Guard)
    app.add_middleware(Counted)
    app.add_exception_handler(RequestValidationError, _explain)
    app.add_exception_handler(StarletteHTTPException, _refuse)
    app.add_exception_handler(OSError, _without_room)
    app.add_exception_handler(Exception, _apologise)
    for kind in STATUSES:
        app.add_exception_handler(kind, _say)
    for kind in AWAY:
        app.add_exception_handler(kind, _without_database)
    app.include_router(ROUTES)
    app.include_router(FEEDBACK)

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers=PAGE_HEADERS)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        # BentoML serves these two files itself: nothing is fetched from elsewhere.
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Moodline",
            swagger_js_url="static_content/swagger-ui-bundle.js",
            swagger_css_url="static_content/swagger-ui.css",
            swagger_favicon_url="static_content/favicon-light-32x32.png",
        )

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
            )
            schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{}, {"key": []}]  # keys only where the operator wants them
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to change it
    return app


class Counted:
    """ASGI middleware: names each request, counts it by the route it met (never by what the sender
    made up), and logs it without anything that was said."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()
        status = 500
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        given = headers.get("x-request-id", "")
        name = given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else uuid.uuid4().hex
        scope["moodline.request"] = name

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", name.encode())]
            await send(message)

        with traces.request(scope["method"], headers) as span:
            try:
                await self.app(scope, receive, named)
            finally:
                path = getattr(scope.get("route"), "path", "") or "other"
                span.update_name(f"{scope['method']} {path}")
                span.set_attributes(
                    {
                        "http.request.method": scope["method"],
                        "http.route": path,
                        "http.response.status_code": status,
                        "moodline.request": name,
                    }
                )
                own: Work | None = scope.get(OWN_DEADLINE)
                impatient = status == 504 and own is not None and own.remaining() == 0
                metrics.REQUESTS.labels(path, GONE if impatient else status).inc()
                seconds = time.monotonic() - began
                metrics.REQUEST_SECONDS.labels(path).observe(seconds)
                who = scope.get(OWNER, "")
                # Within the span, so that the line carries its id.
                logger.info("%s %s %d in %.3f s %s", name, path, status, seconds, who)


async def _say(_: Request, error: Exception) -> JSONResponse:
    """A known failure, as the HTTP status it is."""
    status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
    if status not in (429, 503):
        return JSONResponse({"detail": str(error)}, status)
    detail = f"{error}; try again in a moment" if status == 503 else str(error)
    return JSONResponse({"detail": detail}, status, {"Retry-After": RETRY_SECONDS})


async def _without_database(_: Request, error: Exception) -> JSONResponse:
    logger.error("the database: %s", str(error).splitlines()[0])
    return JSONResponse({"detail": NO_DATABASE}, 503, {"Retry-After": RETRY_SECONDS})


async def _without_room(request: Request, error: Any) -> JSONResponse:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return await _apologise(request, error)
    logger.error("the disk is full: %s", error)
    detail = "the server's disk is full; try again later, or tell its operator"
    return JSONResponse({"detail": detail}, 503, {"Retry-After": RETRY_SECONDS})


async def _explain(_: Request, error: Any) -> JSONResponse:
    """The first thing that is wrong with a request's fields, in one sentence."""
    first = error.errors()[0]
    places = [str(place) for place in first["loc"][1:]]
    field = ".".join(places) or "request"
    if field == "audio":
        detail = "send the recording as a file in the multipart field “audio”"
    else:
        detail = f"the field “{field[:200]}” is wrong: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return JSONResponse({"detail": detail}, 422)


async def _refuse(request: Request, error: Any) -> JSONResponse:
    why = error.__cause__  # where FastAPI could not receive a body
    if isinstance(why, ClientDisconnect):
        return await _say(request, StoppedError("the sender has gone"))
    if isinstance(why, OSError):
        return await _without_room(request, why)
    return JSONResponse({"detail": str(error.detail)}, error.status_code, error.headers)


async def _apologise(_: Request, error: Exception) -> JSONResponse:
    logger.error("a request failed", exc_info=error)
    return JSONResponse({"detail": "something went wrong here; it has been logged"}, 500)
