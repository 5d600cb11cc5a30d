"""A process keeps no more cores busy than it is given."""

import os
import sys
from pathlib import Path

import pytest

from components.base import allowed_cores, cores
from components.config import Settings


@pytest.mark.parametrize(
    ("asked", "given"), [("1", 1), ("1,2", 1), ("0", 1), ("9999", None), ("many", None), ("", None)]
)
def test_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, asked: str, given: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert cores() == (given or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("said", "given"),
    [("150000 100000", 2), ("20000 100000", 1), ("9900000 100000", 8), ("max 100000", 8), ("", 8)],
)
def test_what_the_container_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, given: int
) -> None:
    """A pod with a limit of 1.5 cores on a node of eight."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    limit = tmp_path / "cpu.max"
    limit.write_text(said)
    monkeypatch.setattr(sys.modules["components.base.cores"], "CPU_MAX", limit)
    assert cores() == given
    assert Settings().readers_of(2, on_gpu=True) == max(1, given // 2)
    assert Settings().readers_of(2, on_gpu=False) == 0
    assert Settings(readers=3).readers_of(2, on_gpu=False) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as torchrun sets it
    assert allowed_cores() == given
    assert Settings().readers_of(1, on_gpu=True) == given
    monkeypatch.delenv("OMP_NUM_THREADS")
    limit.unlink()
    assert cores() == 8
