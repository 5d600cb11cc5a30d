"""Changes to BentoML's behaviour that no setting of it reaches, each with its reason.

All were needed with BentoML 1.4.39. Tests hold that they work: `supervisor/test_replicas.py` for
dead workers, `api/test_paths.py` for the metrics, `api/test_soak.py` for the timeout.
"""

from functools import partial
from typing import Any

LOOK_SECONDS = 1.0
"""How often to look for a dead worker."""


def replace_dead_workers_soon() -> None:
    """Have a dead worker replaced within a second.

    Upstream: `create_standalone_arbiter` looks every ten seconds, and no setting changes that.
    """
    from bentoml._internal.utils import circus

    circus.create_standalone_arbiter = partial(
        circus.create_standalone_arbiter, check_delay=LOOK_SECONDS
    )


def without_middleware(app: Any, **_: Any) -> Any:
    """In place of a middleware: the application behind it."""
    return app


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
