"""Work in steps: whose turn it is, when it ends, and who is refused."""

import asyncio
import threading
from contextlib import ExitStack

import pytest

from components.base import Stopped
from serving.engine import scheduling
from serving.engine.scheduling import AdmissionQueue, FairLock, Places, Sender, Work
from serving.errors import BusyError, LateError


def test_the_lock_goes_round() -> None:
    lock, order, there = FairLock(), [], threading.Barrier(3)

    def work(name: str) -> None:
        there.wait()
        with lock:
            for _ in range(3):
                order.append(name)
                lock.let_others_go()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    with lock:  # until all three wait for it
        for thread in threads:
            thread.start()
        while len(lock._waiting) < 3:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join(10)
    assert sorted(order[:3]) == sorted(order[3:6]) == sorted(order[6:]) == ["a", "b", "c"]


def test_what_is_urgent_goes_first() -> None:
    """Who lets urgent work go first goes on before those who waited already."""
    lock, order = FairLock(), []

    def wait(name: str) -> None:
        with lock:
            order.append(name)

    def hurry() -> None:
        with lock.urgently():
            order.append("urgent")

    with lock:
        threads = [threading.Thread(target=wait, args=("waits",)), threading.Thread(target=hurry)]
        for thread, line in zip(threads, (lock._waiting, lock._urgent), strict=True):
            thread.start()
            while not line:
                threading.Event().wait(0.001)
        lock.let_others_go(urgent_only=True)
        order.append("goes on")
    for thread in threads:
        thread.join(10)
    assert order == ["urgent", "goes on", "waits"]


def test_urgent_work_has_the_lock_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not for ever: who comes late lets the others have their turn first."""
    lock, order, inside = FairLock(), [], threading.Barrier(3)
    first_may_end = threading.Event()

    def hurry() -> None:
        with lock.urgently():
            inside.wait(10)  # both are in it
            first_may_end.wait(10)

    def wait() -> None:
        with lock:
            order.append("waits")

    def come_late() -> None:
        with lock.urgently():
            order.append("late")

    threads = [threading.Thread(target=hurry) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    monkeypatch.setattr(scheduling, "TOGETHER", 0.0)
    lock._join_until = 0.0
    others = [threading.Thread(target=wait), threading.Thread(target=come_late)]
    others[0].start()
    while not lock._waiting:
        threading.Event().wait(0.001)
    others[1].start()
    assert not order, "both wait"
    first_may_end.set()
    for thread in (*threads, *others):
        thread.join(10)
    assert order == ["waits", "late"]


def test_one_alone_keeps_the_lock() -> None:
    lock = FairLock()
    with lock:
        lock.let_others_go()
        assert lock._taken
    assert not lock._taken


def test_stopped_work_ends_at_its_next_step() -> None:
    work = Work()
    work.step("transcribe", 0.25)
    assert (work.stage, work.share, work.remaining()) == ("transcribe", 0.25, None)
    work.stop()
    with pytest.raises(Stopped):
        work.step("transcribe", 0.5)


def test_late_work_ends_at_its_next_step() -> None:
    with pytest.raises(LateError, match="deadline"):
        Work(0.0).step("diarize", 0.1)
    Work(60.0).step("diarize", 0.1)


def test_who_shares_leaves_room_for_others() -> None:
    places, taken = Places(16), ExitStack()
    one, two, three = (Sender(name, shares=True) for name in ("one", "two", "three"))

    def fill(sender: Sender) -> int:
        count = 0
        while places.has_room(sender):
            taken.enter_context(places.taken(sender))
            count += 1
        return count

    assert [fill(one), fill(two), fill(three)] == [8, 4, 2]
    assert not places.has_room(one) and places.has_room(Sender("four", shares=True))
    taken.close()
    assert fill(Sender("alone")) == 16
    assert not places.has_room(one)


def test_of_many_at_once_none_or_all_find_room() -> None:
    places, sharing = Places(10), Sender("one", shares=True)
    assert places.has_room(sharing, 10) and not places.has_room(sharing, 11)
    with places.taken(sharing, 4):
        assert not places.has_room(sharing, 3)
        assert places.has_room(sharing) and places.has_room(Sender("two", shares=True), 6)


def test_a_queue_takes_one_and_lets_so_many_wait() -> None:
    async def scene() -> list[str]:
        queue, story, go = AdmissionQueue(1, "recordings"), [], asyncio.Event()

        async def visitor(name: str, background: bool = False) -> None:
            try:
                async with queue.turn(background=background):
                    story.append(f"{name} in")
                    await go.wait()
            except BusyError as error:
                story.append(f"{name}: {error}")

        tasks = [asyncio.create_task(visitor(name)) for name in ("first", "second", "third")]
        tasks.append(asyncio.create_task(visitor("job", background=True)))
        await asyncio.sleep(0)
        tasks[1].cancel()  # who waits may leave
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return story

    assert asyncio.run(scene()) == [
        "first in",
        "third: too many recordings are waiting; try again later",
        "job in",
    ]
