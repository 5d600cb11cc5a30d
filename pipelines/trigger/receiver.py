"""The trigger's HTTP side: Alertmanager's webhook, new data, its own metrics."""

import contextlib
import hmac
import logging
import socket
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.base import InputError, MoodlineError
from pipelines.runners.outcome_metrics import FILE
from pipelines.trigger import metrics
from pipelines.trigger.causes import Cause, NewData, Webhook, alert_cause
from pipelines.trigger.decide import Decision
from pipelines.trigger.gauges import Files
from pipelines.trigger.trigger import Trigger

logger = logging.getLogger(__name__)

MAX_BYTES = 1_000_000
"""Of a request: Alertmanager's hold a few hundred alerts at most."""

_STATUS = {"started": 202, "rehearsed": 202, "cooldown": 429, "budget": 429, "failed": 503}


def build_app(
    awaited: Callable[[], Trigger],
    token: str | None,
    read_data: Callable[[NewData], Cause],
    gauges: Callable[[], Files],
    outcomes: Callable[[], bytes] | None = None,
) -> FastAPI:
    """The receiver.

    Args:
        awaited: gives the trigger, which starts the runs; raises `Unavailable` while it cannot.
        token: the bearer token callers must send; None turns the check off (in a dry run only).
        read_data: makes a cause of new data, or raises `InputError`.
        gauges: gives the `.prom` files that are shown beside its own metrics.
        outcomes: the gauges of how runs ended, in place of those files'; None: runs end here.
    """
    app = FastAPI(title="Moodline's trigger", docs_url=None, redoc_url=None)
    app.add_middleware(_AuthAndSize, token=token)

    @app.post("/v1/alerts")
    def alerts(webhook: Webhook, response: Response) -> dict[str, Any]:
        """Alertmanager's webhook. 503 where a run could not be started: it will send it again."""
        trigger, answers = awaited(), []
        for alert in webhook.alerts:
            cause = alert_cause(alert)
            if alert.labels.get("retrain") != "true":  # the rules mark what a retraining can help
                decision = trigger.pass_over("alert")
            elif alert.status == "resolved":
                decision = trigger.resolve(cause)
            else:
                decision = trigger.fire(cause)
            about = {"alert": cause.name, "fingerprint": alert.fingerprint}
            answers.append(about | asdict(decision))
        if any(answer["outcome"] == "failed" for answer in answers):
            response.status_code = 503
        return {"alerts": answers}

    @app.post("/v1/data")
    def data(new: NewData, response: Response) -> Decision:
        """New labelled data. 202 a run starts, 200 known, 429 not now, 503 it could not start."""
        decision = awaited().fire(read_data(new))
        response.status_code = _STATUS.get(decision.outcome, 200)
        return decision

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.get("/readyz")
    def readyz() -> str:
        """503 while runs cannot start, and why."""
        awaited()
        return "ok"

    @app.get("/metrics")
    def scrape() -> Response:
        """Its own, and those of drift and of retrainings, which end before anybody could ask."""
        others = [text for name, text in gauges() if outcomes is None or name != FILE]
        if outcomes is not None:
            others.append(outcomes())
        return Response(b"".join([generate_latest(), *others]), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return _refuse(422, "malformed", f"{'.'.join(map(str, first['loc']))}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def too_large(request: Request, error: HTTPException) -> JSONResponse:
        return _refuse(error.status_code, "too_large", error.detail)

    @app.exception_handler(MoodlineError)
    def known_error(request: Request, error: MoodlineError) -> JSONResponse:
        reason = "malformed" if error.http_status == 422 else "unavailable"
        return _refuse(error.http_status, reason, str(error))

    return app


class _AuthAndSize:
    """Refuses requests without the token or of more than `MAX_BYTES`, before they are parsed."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            return await self._app(scope, receive, send)
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        if self._expected is not None and not hmac.compare_digest(authorization, self._expected):
            message = "bring the trigger's token: Authorization: Bearer …"
            refusal = _refuse(401, "unauthorized", message)
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return await refusal(scope, receive, send)
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BYTES:
                raise HTTPException(413, f"more than {MAX_BYTES} bytes")
            return message

        return await self._app(scope, limited, send)


def _refuse(status: int, reason: str, message: str) -> JSONResponse:
    metrics.REFUSED.labels(reason).inc()
    return JSONResponse({"error": message}, status)


def listening_socket(host: str, port: int) -> socket.socket:
    """Take an address; port 0 is any free one.

    Raises:
        InputError: it is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InputError(f"{host}:{port}: {error}; choose another --host or --port") from None


def serve(app: FastAPI, address: socket.socket) -> None:
    """Answer at an address until a signal comes."""
    import uvicorn

    with contextlib.closing(address):
        uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="warning")).run(
            sockets=[address]
        )
