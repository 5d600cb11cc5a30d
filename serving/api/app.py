"""The HTTP interface: the application, and errors as one clear sentence.

`serving.api.routes` has the endpoints, `serving.api.schema` their types, and `serving.api.limits`
the checks before a body is read.
"""

import logging
import re
import time
import uuid
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from components.base import MoodlineError, Stopped, is_disk_full
from serving import metrics, traces
from serving.api.alignment import Alignment
from serving.api.deadlines import OWN_DEADLINE
from serving.api.export import EXPORT, ExportIn
from serving.api.feedback import FEEDBACK
from serving.api.limits import OWNER, RETRY_SECONDS, ConcurrentUploads, KeyCheck, MaxBodySize
from serving.api.live import LIVE
from serving.api.middleware import HttpMiddleware
from serving.api.operations import OPERATIONS
from serving.api.origin import OriginCheck
from serving.api.pages import PAGES
from serving.api.review import REVIEW
from serving.api.routes import CORRELATION, REQUEST, ROUTES
from serving.api.schema import SCHEMAS, AlignIn
from serving.api.slow_senders import LeastRate
from serving.api.speakers import SPEAKERS
from serving.api.statements import STATEMENTS
from serving.engine.scheduling import Work
from serving.settings import ANY_HOST, ServeSettings

logger = logging.getLogger(__name__)

SMALLER = {  # what is parsed in the event loop is kept small
    "/v1/align": 10_000_000,  # a hundred thousand words; a thread parses it
    "/v1/export": 10_000_000,
    "/v1/feedback": 10_000,
    "/v1/operations/promote": 20_000,
    "/v1/operations/rollback": 20_000,
}
KINDER = {  # than the framework's own words
    "Not Found": "there is nothing at this path; GET /docs lists what there is",
    "Method Not Allowed": "this path does not take this method; GET /docs lists those it takes",
}
DESCRIPTION = """
Send a recording, get back who said what, when, and with which emotion:

```sh
curl -F audio=@call.wav http://localhost:3000/v1/analyze
```

* `/v1/analyze` answers when it is done, `/v1/jobs` at once and works in the background.
* `/v1/live` is a WebSocket: sound in as it is spoken, words and turns out as they are found.
* `/v1/speakers` keeps voice prints of people who agreed to it, where the operator allows that.
* `/v1/operations` tells what is served and why, and lets an operator's key change it.
* `/v1/classify` takes turns that are cut already, `/v1/align` words and speaker segments.
* Every problem is answered with one sentence in `detail`; 429 and 503 say in `Retry-After` when
  to try again.
* `X-Deadline-Seconds` says how long you will wait; after that the answer is 504 and the work ends.
* Where the operator has set API keys, send yours as `Authorization: Bearer …`.
* `/healthz` (alive), `/readyz` (a recording sent now would be answered) and `/metrics` (for
  Prometheus) are answered beside this API.

Emotions are statistical guesses from sound and words, not facts about people.
"""


def create_app(max_upload_bytes: int, max_uploads: int) -> FastAPI:
    """The application, which reads request bodies up to `max_upload_bytes` and receives
    `max_uploads` large ones at a time. The service that mounts it sets its `state`."""
    app = FastAPI(
        title="Moodline",
        summary="Recordings in, speaker turns with emotions out.",
        description=DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        # `RequestRecord` makes the request's one span; FastAPI's logs would hold what was sent.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.keys = None
    app.state.calls = None
    app.state.hosts = {ANY_HOST}
    app.state.timeout = ServeSettings().timeout
    app.state.alignment = Alignment()
    app.add_middleware(ConcurrentUploads, max_uploads=max_uploads)
    app.add_middleware(MaxBodySize, max_bytes=max_upload_bytes, smaller=SMALLER)
    app.add_middleware(OriginCheck)
    app.add_middleware(KeyCheck)
    app.add_middleware(LeastRate)
    app.add_middleware(RequestRecord)
    app.add_exception_handler(MoodlineError, _known_error)
    app.add_exception_handler(OSError, _system_error)
    app.add_exception_handler(RequestValidationError, _wrong_field)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)
    app.include_router(ROUTES)
    app.include_router(FEEDBACK)
    app.include_router(STATEMENTS)
    app.include_router(EXPORT)
    app.include_router(SPEAKERS)
    app.include_router(OPERATIONS)
    app.include_router(REVIEW)
    app.include_router(LIVE)
    app.include_router(PAGES)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = FastAPI.openapi(app)  # it keeps the schema
            schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            for model in (AlignIn, ExportIn):
                own = model.model_json_schema(ref_template=SCHEMAS)
                more = own.pop("$defs", {}) | {model.__name__: own}
                schema["components"]["schemas"] |= more
            schema["security"] = [{}, {"key": []}]  # keys only where the operator wants them
        return FastAPI.openapi(app)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to change it
    return app


class RequestRecord(HttpMiddleware):
    """ASGI middleware: gives each request an id, a span, its counts and one line in the log.

    The id is the service's own. The one that the sender gave the request correlates it with the
    sender's own records; it names nothing here, because senders give one id to several requests.

    Requests are counted by their route, never by a path that a sender made up. The line holds
    nothing of a request's content.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        began = time.monotonic()
        status = 500
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        request_id = scope[REQUEST] = uuid.uuid4().hex
        traces.REQUEST_ID.set(request_id)
        given = headers.get("x-request-id", "")
        known = re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII)
        correlation = scope[CORRELATION] = given if known else ""

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own_headers = [
                    (b"x-request-id", (correlation or request_id).encode()),
                    (b"x-moodline-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
                message["headers"] = [*message["headers"], *own_headers]
            await send(message)

        with traces.request(scope["method"], headers) as span:
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                route: Any = scope.get(
                    "route"
                )  # BentoML's mount, without a path, where none of ours is
                path = route.path_format if getattr(route, "path", "") else "other"
                span.update_name(f"{scope['method']} {path}")
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("http.route", path)
                span.set_attribute("http.response.status_code", status)
                span.set_attribute("moodline.request", request_id)
                if correlation:
                    span.set_attribute("moodline.correlation", correlation)
                own: Work | None = scope.get(OWN_DEADLINE)
                # A deadline that the sender set itself is no failure of the service.
                given_up = status == 504 and own is not None and own.remaining() == 0
                metrics.REQUESTS.labels(path, Stopped.http_status if given_up else status).inc()
                seconds = time.monotonic() - began
                metrics.REQUEST_SECONDS.labels(path).observe(seconds)
                owner = scope.get(OWNER, "")
                # Within the span, so that the line carries its id.
                said = (request_id, path, status, seconds, owner, correlation)
                logger.info("%s %s %d in %.3f s %s %s", *said)


async def _known_error(_: Request, error: Any) -> JSONResponse:
    """An expected failure, by the HTTP status of its kind."""
    status, detail = error.http_status, error.answer or str(error)
    if error.answer:
        logger.warning("%s", error)
    if status == 503:
        detail = f"{detail}; try again in a moment"
    headers = {"Retry-After": RETRY_SECONDS} if status in (429, 503) else None
    return JSONResponse({"detail": detail}, status, headers)


async def _system_error(request: Request, error: Exception) -> JSONResponse:
    if not is_disk_full(error):
        return await _internal_error(request, error)
    logger.error("the disk is full: %s", error)
    detail = "the server's disk is full; try again later, or tell its operator"
    return JSONResponse({"detail": detail}, 503, {"Retry-After": RETRY_SECONDS})


async def _wrong_field(_: Request, error: Any) -> JSONResponse:
    """The first thing that is wrong with a request's fields, in one sentence."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"][1:])) or "request"
    if field == "audio":
        detail = "send the recording as a file in the multipart field “audio”"
    else:
        detail = f"the field “{field[:200]}” is wrong: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return JSONResponse({"detail": detail}, 422)


async def _http_error(request: Request, error: Any) -> JSONResponse:
    cause = error.__cause__  # FastAPI could not receive the body
    if isinstance(cause, ClientDisconnect):
        return await _known_error(request, Stopped("the sender has gone"))
    if isinstance(cause, OSError):
        return await _system_error(request, cause)
    detail = KINDER.get(error.detail, error.detail)
    return JSONResponse({"detail": str(detail)}, error.status_code, error.headers)


async def _internal_error(_: Request, error: Exception) -> JSONResponse:
    logger.error("a request failed", exc_info=error)
    return JSONResponse({"detail": "something went wrong here; it has been logged"}, 500)
