"""What a failed call to Triton means for the caller."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from components.conversation import Seconds
from serving.errors import BusyError, LateError, NotReadyError


class TritonError(NotReadyError):
    """Triton did not answer, or not with an answer; asking again would not help.

    Its text is for the operator.

    Attributes:
        answer: what the service's callers are told instead.
        kind: as `moodline_triton_failures` counts it.
    """

    answer: ClassVar[str] = "the emotion model does not answer"
    kind: ClassVar[str] = "failed"


class TritonLateError(LateError, TritonError):
    """The deadline passed before Triton answered."""

    answer = "the emotion model did not answer in time"
    kind = "late"


class TritonAwayError(TritonError):
    """Nobody is there to answer: another Triton may, or the same one soon."""


class TritonGoneError(TritonAwayError):
    """Triton does not serve that version."""


class TritonDeadError(TritonAwayError):
    """The process that runs the model has died; Triton does not start it again by itself."""


class TritonFullError(BusyError, TritonError):
    """As many requests as may wait are waiting."""

    answer = "too many clips wait for the emotion model"
    kind = "full"


@contextmanager
def triton_errors(seconds: Seconds) -> Iterator[None]:
    """Raise a `TritonError` where a call with this deadline fails or its answer is broken."""
    from tritonclient.utils import InferenceServerException

    try:
        yield
    except InferenceServerException as error:
        raise _meaning(error, seconds) from error
    except ValueError as error:
        raise TritonError(str(error)) from error


def _meaning(error: Any, seconds: Seconds) -> TritonError:
    status = str(error.status()).removeprefix("StatusCode.")
    text = " ".join(str(error.message()).split())
    if status == "DEADLINE_EXCEEDED" or "Request timeout expired" in text:
        return TritonLateError(f"no answer within {seconds:.3g} s")
    if "Exceeds maximum queue size" in text:
        return TritonFullError("the model server's queue is full")
    if "unknown model" in text:
        return TritonGoneError(f"the model server does not serve this: {text}")
    if "Stub process" in text:
        return TritonDeadError(f"the model server is away: {text}")
    if status in ("UNAVAILABLE", "CANCELLED"):
        return TritonAwayError(f"the model server is away: {text}")
    return TritonError(f"the model server failed: {text}")
