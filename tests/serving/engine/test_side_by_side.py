"""Two stages at once: their results, their errors, and who may report when."""

import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from components.base import InputError, Stopped
from serving.engine.side_by_side import Step, side_by_side

CORES = ("1", "2")


@pytest.fixture(params=CORES)
def count(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As many cores as a process is given; on a machine of one there is no second."""
    monkeypatch.setenv("OMP_NUM_THREADS", request.param)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    return str(request.param)


def steps(result: str) -> Callable[[Step], str]:
    def work(step: Step) -> str:
        for number in range(1, 5):
            step(number / 4)
        return result

    return work


def test_both_results_come_back_and_progress_never_goes_back(count: str) -> None:
    told: list[tuple[str, float]] = []

    def report(stage: str, share: float) -> None:
        told.append((stage, share))

    assert side_by_side(("words", steps("w")), ("voices", steps("v")), report) == ("w", "v")
    stages = [stage for stage, _ in told]
    assert stages == sorted(stages, key=["words", "voices"].index)
    for stage in ("words", "voices"):
        shares = [share for name, share in told if name == stage]
        assert shares == sorted(shares)
    assert ("words", 1.0) in told


def test_nobody_needs_to_be_told(count: str) -> None:
    assert side_by_side(("words", steps("w")), ("voices", steps("v")), None) == ("w", "v")


def fails(step: Step) -> str:
    step(0.1)
    raise InputError("the sound is odd")


def goes_on(ended: list[str]) -> Callable[[Step], str]:
    """Work without an end, but for what a step raises."""

    def work(step: Step) -> str:
        try:
            while True:
                step(0.5)
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    return work


def test_an_error_of_one_ends_the_other_and_is_the_one_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    ended: list[str] = []
    with pytest.raises(InputError, match="odd"):
        side_by_side(("words", fails), ("voices", goes_on(ended)), None)
    with pytest.raises(InputError, match="odd"):
        side_by_side(("words", goes_on(ended)), ("voices", fails), None)
    assert len(ended) == 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("voices")]


def test_what_a_report_raises_ends_both(count: str) -> None:
    calls = 0

    def report(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise Stopped("nobody waits for this any more")

    ended: list[str] = []
    with pytest.raises(Stopped, match="nobody waits"):
        side_by_side(("words", goes_on(ended)), ("voices", goes_on(ended)), report)
    assert len(ended) == int(count)


def test_one_waits_while_the_other_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a long recording gives way to a short one."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    busy, at_once = threading.Lock(), list[bool]()

    def report(*_: object) -> None:
        at_once.append(not busy.acquire(blocking=False))
        if not at_once[-1]:
            threading.Event().wait(0.005)
            busy.release()

    side_by_side(("words", steps("w")), ("voices", steps("v")), report)
    assert at_once == [False] * 8


def test_the_request_s_context_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    request: ContextVar[str] = ContextVar("request")
    request.set("r-1")
    both = side_by_side(("a", lambda _: request.get()), ("b", lambda _: request.get()), None)
    assert both == ("r-1", "r-1")
