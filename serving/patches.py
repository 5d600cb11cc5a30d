"""Changes to BentoML's behaviour that no setting of it reaches, each with its reason.

Both were needed with BentoML 1.4.39. Tests hold that they work:
`supervisor/test_replicas.py` for the first, `api/test_soak.py` for the second.
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


def without_timeout(app: Any, timeout: float) -> Any:
    """In place of the middleware: the application behind it."""
    return app


def turn_off_request_timeout() -> None:
    """Leave deadlines to `serving.api.cancellation`; call it before the service is defined.

    Upstream: `TimeoutMiddleware` starts a timer for each request and never cancels it, so each
    answered request stays in memory until its timeout (half an hour) has passed. It also answers
    504 while the work goes on.
    """
    from bentoml._internal.server.http import traffic

    traffic.TimeoutMiddleware = without_timeout  # type: ignore[misc,assignment]
