"""Made-up traffic for the tests of drift."""

from collections.abc import Callable

import pytest

from components.drift import Sample
from tests.components.drift.made_up import traffic

MakeTraffic = Callable[..., Sample]


@pytest.fixture(scope="session")
def make_traffic() -> MakeTraffic:
    """`traffic`: recordings and a seed, and what is shifted, give a sample."""
    return traffic
