"""How long a request may take."""

from fastapi import Request

from serving.api.limits import sender_of
from serving.engine.scheduling import Work

OWN_DEADLINE = "moodline.deadline"
"""Where the scope holds the work whose deadline the sender set."""


def work_of(request: Request, deadline: float | None) -> Work:
    """A request's work, which ends with the service's deadline, or the sender's own if earlier.

    Args:
        deadline: the sender's, in seconds.
    """
    timeout = float(request.app.state.timeout)
    work = Work(min(timeout, deadline or timeout), sender_of(request.scope))
    if deadline is not None and deadline < timeout:
        request.scope[OWN_DEADLINE] = work
    return work
