"""Changes to BentoML's behaviour that no setting of it reaches, each with its reason.

All were needed with BentoML 1.4.39. Tests hold that they work: `supervisor/test_replicas.py` and
`supervisor/test_private.py` for the arbiter, `supervisor/test_serve.py` for its workers,
`api/test_paths.py` for metrics and connections, `api/test_soak.py` for the timeout.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOOK_SECONDS = 1.0
"""How often to look for a dead worker."""


def keep_arbiter_private(folder: Path) -> None:
    """Have the arbiter, which runs the workers, listen in a folder, and replace a dead worker
    within a second.

    Upstream: it takes commands, to start a program too, from whoever reaches one of two TCP ports;
    and it looks every ten seconds. No setting changes either.

    Args:
        folder: that nobody else can enter; its path is short.
    """
    from bentoml._internal.utils import circus

    class PrivateArbiter(circus.Arbiter):
        def __init__(self, watchers: list[Any], **options: Any) -> None:
            options |= {
                "endpoint": f"ipc://{folder}/control",
                "pubsub_endpoint": f"ipc://{folder}/events",
                "check_delay": LOOK_SECONDS,
            }
            super().__init__(watchers, **options)

    circus.Arbiter = PrivateArbiter  # type: ignore[misc]


def tie_workers(tie: Callable[[int], None]) -> None:
    """Tie each worker to the arbiter before it begins.

    Upstream: a worker gets a session of its own, so that one whose arbiter is killed goes on.

    Args:
        tie: called in the worker with the arbiter's process id.
    """
    from circus import process

    start = process.Popen

    def start_tied(*args: Any, preexec_fn: Callable[[], None], **options: Any) -> Any:
        arbiter = os.getpid()

        def begin() -> None:
            preexec_fn()
            tie(arbiter)

        return start(*args, preexec_fn=begin, **options)

    process.Popen = start_tied


def without_middleware(app: Any, **_: Any) -> Any:
    """In place of a middleware: the application behind it."""
    return app


def close_half_open_connections() -> None:
    """Have uvicorn use `serving.api.slow_senders.Connection`; call it before the server starts.

    Upstream: BentoML passes no protocol on, and uvicorn waits for a request's head for ever.
    """
    from uvicorn import config

    config.HTTP_PROTOCOLS["auto"] = "serving.api.slow_senders:Connection"


def turn_off_request_metrics() -> None:
    """Leave the counting of requests to `serving.api.app`; call it before the service is defined.

    Upstream: `RunnerTrafficMetricsMiddleware` labels its series with the path as it was sent. So
    `/metrics` shows everybody the ids of jobs and the names of recordings, and grows for good with
    each path that a sender makes up. Only `/metrics` as a whole can be turned off.
    """
    from bentoml._internal.server.http import instruments

    instruments.RunnerTrafficMetricsMiddleware = without_middleware  # type: ignore[misc,assignment]


def turn_off_request_timeout() -> None:
    """Leave deadlines to `serving.api.cancellation`; call it before the service is defined.

    Upstream: `TimeoutMiddleware` starts a timer for each request and never cancels it, so each
    answered request stays in memory until its timeout (half an hour) has passed. It also answers
    504 while the work goes on.
    """
    from bentoml._internal.server.http import traffic

    traffic.TimeoutMiddleware = without_middleware  # type: ignore[misc,assignment]


def log_arbiter_as_json() -> None:
    """Give the process that keeps the workers the JSON format; BentoML has no setting for it."""
    from bentoml._internal import log

    from components.base.logs import JsonFormatter

    log.SERVER_LOGGING_CONFIG["formatters"]["traced"] = {"()": JsonFormatter}
