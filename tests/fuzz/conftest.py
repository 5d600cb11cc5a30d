"""How long is fuzzed: the same few examples in `make test`, ten minutes of new ones in `make fuzz`.

MOODLINE_FUZZ_SECONDS shares its seconds over the tests here; Hypothesis then draws at random.
"""

import os
import time
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

SECONDS = float(os.environ.get("MOODLINE_FUZZ_SECONDS", "0"))

QUIET = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`fuzz(check, examples, *strategies)`: fixed examples, or new ones until its time is up."""

    def run(check: Callable[..., None], examples: int, *strategies: SearchStrategy[Any]) -> None:
        def drawn(**chosen: Any) -> Callable[..., None]:
            # A function of its own for each round: Hypothesis takes settings once.
            own = FunctionType(check.__code__, check.__globals__, closure=check.__closure__)
            return settings(QUIET, max_examples=examples, **chosen)(given(*strategies)(own))

        if not SECONDS:
            return drawn(derandomize=True)()
        tests = sum("fuzz" in getattr(item, "fixturenames", ()) for item in request.session.items)
        number, end = int(time.time()), time.monotonic() + SECONDS / tests
        while time.monotonic() < end:  # each round of another seed, which a failure prints
            print(f"seed {number}")
            seed(number)(drawn())()
            number += 1
        return None

    return run
