"""What is measured on real people's speech, which is no part of the repository: `make bench-real`.

A test here takes the fixtures `data` (the folder that `MOODLINE_REAL_DATA` names, seen to be whole)
and `report`, on which it writes its numbers, each beside chance and target. It asserts only that
the measurement is one: a target that is missed is printed, and breaks nothing.
"""

import time
from collections.abc import Iterator

import pytest

from tests.real.data import RealData, real_data
from tests.real.report import Report

REPORT = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = Report(started=time.monotonic())


@pytest.fixture(scope="session")
def data() -> RealData:
    """The folder of real speech."""
    return real_data()


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """Takes each measured number."""
    return request.config.stash[REPORT]


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    yield
    for line in config.stash[REPORT].lines():
        terminalreporter.write_line(line)
