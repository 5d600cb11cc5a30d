"""A process keeps no more cores busy than it is given."""

import os

import pytest

from components.base import cores


@pytest.mark.parametrize(
    ("asked", "given"), [("1", 1), ("1,2", 1), ("0", 1), ("9999", None), ("many", None), ("", None)]
)
def test_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, asked: str, given: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert cores() == (given or len(os.sched_getaffinity(0)))
