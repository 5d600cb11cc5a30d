"""Processor time goes to the stage whose threads used it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from components.base import charge, counted, spent_on, watched


def work(times: int = 40) -> None:
    for _ in range(times):
        sum(n * n for n in range(20_000))


def test_threads_side_by_side_are_told_apart() -> None:
    def busy() -> None:
        with spent_on("busy"):
            work()

    waiting = threading.Event()

    def idle() -> None:
        with spent_on("idle"):
            waiting.wait(60)

    with watched() as stages, ThreadPoolExecutor(2) as pool:
        asleep = pool.submit(copy_context().run, idle)
        pool.submit(copy_context().run, busy).result()
        waiting.set()
        asleep.result()
    spent = stages.spent
    assert spent["busy"].processor > 10 * spent["idle"].processor
    assert spent["idle"].seconds > spent["busy"].processor / 2, "it waited for all of that work"


def test_a_stage_of_two_threads_has_the_time_of_one_and_the_work_of_both() -> None:
    gate = threading.Barrier(2)

    def half() -> None:
        with spent_on("both"):
            gate.wait(60)
            work()
            gate.wait(60)

    with watched() as stages, ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(copy_context().run, half) for _ in range(2)]:
            done.result()
    both = stages.spent["both"]
    # Python runs one thread at a time: the two halves lie one behind the other.
    assert 0 < both.processor <= both.seconds * 1.1


def test_what_others_worked_for_a_stage_is_charged_to_it() -> None:
    charge(5.0)  # nobody watches
    with watched() as stages:
        charge(5.0)  # no stage
        counted("embed", charge)(2.0)
        with spent_on("read"):
            charge(1.0)
    assert 2.0 <= stages.spent["embed"].processor < 2.5
    assert 1.0 <= stages.spent["read"].processor < 1.5
    assert list(stages.spent) == ["embed", "read"]


def test_a_stage_ends_with_its_error() -> None:
    with watched() as stages:
        try:
            with spent_on("read"):
                raise ValueError
        except ValueError:
            pass
        with spent_on("read"):
            pass
    assert stages.spent["read"].seconds >= 0
