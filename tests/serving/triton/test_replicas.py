"""Which Triton is asked next."""

import asyncio
from collections import Counter

import pytest

from components.base import InputError
from serving.triton.errors import TritonDeadError
from serving.triton.replicas import MAX_BACKOFF_SECONDS, Replicas, addresses


def test_addresses_are_read_from_one_line() -> None:
    assert addresses("") == ()
    assert addresses("a:8001, 127.0.0.1:9 ,a:8001") == ("a:8001", "127.0.0.1:9")
    assert addresses("unix:/run/grpc:1") == ("unix:/run/grpc:1",)
    for wrong in ("a", "http://a:8001", "a:b", ":8001"):
        with pytest.raises(InputError, match="MOODLINE_TRITON_URL"):
            addresses(f"a:1,{wrong}")


def test_equals_take_turns_and_the_least_busy_goes_first() -> None:
    replicas = Replicas(["a:1", "b:1", "c:1"])
    assert Counter(replicas.choose("3", 0.0).url for _ in range(30)) == dict.fromkeys(
        ("a:1", "b:1", "c:1"), 10
    )

    async def busy() -> str:
        never = asyncio.get_running_loop().create_future()
        for replica in replicas.all[:2]:
            replica.calls["3"].add(never)
        return replicas.choose("3", 0.0).url

    assert asyncio.run(busy()) == "c:1"


def test_one_that_fails_is_left_out_longer_each_time_and_tried_again() -> None:
    replicas = Replicas(["a:1", "b:1"])
    bad, good = replicas.all
    for _ in range(2000):  # however long it is away
        bad.failed("3", now=100.0)
    assert {replicas.choose("3", 100.01).url for _ in range(9)} == {good.url}
    assert {replicas.choose("4", 100.01).url for _ in range(9)} == {bad.url, good.url}
    later = 100.0 + MAX_BACKOFF_SECONDS
    assert {replicas.choose("3", later).url for _ in range(9)} == {bad.url, good.url}
    bad.answered("3")
    assert {replicas.choose("3", 100.01).url for _ in range(9)} == {bad.url, good.url}


def test_somebody_is_asked_even_if_all_have_failed() -> None:
    replicas = Replicas(["a:1", "b:1"])
    for replica, now in zip(replicas.all, (0.0, 50.0), strict=True):
        replica.failed("3", now)
    assert replicas.choose("3", 50.0).url == "a:1", "its rest ends first"
    assert replicas.choose("3", 50.0, tried=[replicas.all[0]]).url == "b:1"


def test_a_retry_goes_to_one_that_answered_last() -> None:
    replicas = Replicas(["a:1", "b:1", "c:1", "d:1"])
    for replica in replicas.all[:3]:
        replica.failed("3", now=0.0)
    later = 2 * MAX_BACKOFF_SECONDS
    assert len({replicas.choose("3", later).url for _ in range(9)}) == 4, "all may be back"
    for failed in replicas.all[:3]:
        assert {replicas.choose("3", later, [failed]).url for _ in range(9)} == {"d:1"}
    assert replicas.choose("3", later, [replicas.all[3]]).url != "d:1"


def test_dropped_calls_end_and_a_callers_own_end_stays_one() -> None:
    replica = Replicas(["a:1"]).all[0]

    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    async def run() -> None:
        lost = asyncio.create_task(replica.result_of("3", hang()))
        other = asyncio.create_task(replica.result_of("4", hang()))
        await asyncio.sleep(0)
        replica.drop("3")
        with pytest.raises(TritonDeadError):
            await lost
        assert replica.in_flight == 1
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other
        assert replica.in_flight == 0

    asyncio.run(run())
