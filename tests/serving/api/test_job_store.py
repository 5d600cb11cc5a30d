"""The store that copies of the service share: on SQLite, and on PostgreSQL where there is one."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.api.job_store import ATTEMPTS, JobStore, new_id
from serving.api.rate_limit import count_request
from serving.database import ServiceDatabase
from tests.serving.helpers import running_postgres

POSTGRES = shutil.which("pg_config")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as (url, _):
        yield url


@pytest.fixture(params=["sqlite", *(["postgres"] if POSTGRES else [])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/store.db"
    url: str = request.getfixturevalue("postgres")
    make_store(url).expire(-3600)  # another test's
    return url


def make_store(url: str) -> JobStore:
    return JobStore(ServiceDatabase(url))


def queue(store: JobStore, recording: str = "call", owner: str = "web") -> str:
    job = new_id()
    assert store.add_job(job, owner, recording, {"session_id": recording}, max_unfinished=100)
    assert store.queue(job)
    return job


def finish_all(store: JobStore) -> None:
    while job := store.claim("cleaner", 60):
        store.finish(job.id, "cleaner", {})


def test_a_jobs_life(url: str) -> None:
    store = make_store(url)
    finish_all(store)
    job = queue(store)
    found = store.job(job, "web")
    assert found and (found.state, found.options) == ("queued", {"session_id": "call"})
    assert store.job(job, "somebody else") is None
    taken = store.claim("me", 60)
    assert taken and (taken.id, taken.state) == (job, "running")
    assert store.claim("another", 60) is None
    assert store.renew(job, "me", 60, "transcribe", 0.5)
    found = store.job(job, "web")
    assert found and (found.stage, found.share) == ("transcribe", 0.5)
    assert not store.renew(job, "another", 60, "", 0)
    assert store.finish(job, "me", {"turns": ["é"]})
    found = store.job(job, "web")
    assert found and (found.state, found.result) == ("done", {"turns": ["é"]})
    assert not store.fail(job, "me", "too late")
    store.expire(3600)
    assert store.job(job, "web")
    store.expire(-1)
    assert store.job(job, "web") is None


def test_the_longest_wait_is_the_oldest_job_s_that_waits(url: str) -> None:
    store = make_store(url)
    finish_all(store)
    assert store.longest_wait() == 0
    queue(store, "first")
    time.sleep(0.3)
    queue(store, "second")
    assert 0.3 <= store.longest_wait() < 60
    first = store.claim("me", 60)  # it is worked on, so it does not wait
    assert 0 <= store.longest_wait() < 0.3
    assert first and store.finish(first.id, "me", {})
    finish_all(store)
    assert store.longest_wait() == 0


def test_a_lost_job_is_taken_up_and_then_given_up(url: str) -> None:
    store = make_store(url)
    finish_all(store)
    job = queue(store)
    for attempt in range(ATTEMPTS):
        taken = store.claim(f"process {attempt}", 0.0)
        assert taken and taken.id == job
        time.sleep(0.02)
    assert not store.renew(job, "process 0", 60, "", 0), "it has long been another's"
    assert store.claim("one more", 60) is None
    found = store.job(job, "web")
    assert found and found.state == "failed" and "three times" in (found.reason or "")


def test_a_job_given_back_has_not_been_tried(url: str) -> None:
    store = make_store(url)
    finish_all(store)
    job = queue(store)
    for _ in range(ATTEMPTS + 2):
        taken = store.claim("me", 60)
        assert taken and taken.id == job
        assert store.give_back(job, "me")


def test_many_claim_at_once_and_each_job_is_taken_once(url: str) -> None:
    stores = [make_store(url) for _ in range(4)]
    finish_all(stores[0])
    jobs = {queue(stores[0]) for _ in range(20)}

    def work(store: JobStore) -> list[str]:
        taken = []
        while job := store.claim(f"{id(store)}", 60):
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [job for found in pool.map(work, stores) for job in found]
    assert len(taken) == len(set(taken)) == 20
    assert set(taken) == jobs
    assert stores[0].unfinished() == jobs
    finished = [stores[1].finish(job, f"{id(store)}", {}) for job in taken for store in stores]
    assert sum(finished) == 20


def test_there_is_a_limit_and_what_is_erased_is_gone(url: str) -> None:
    store = make_store(url)
    finish_all(store)
    kept, mine = queue(store, "one"), queue(store, "two")
    assert not store.add_job(new_id(), "web", "three", {}, max_unfinished=2)
    assert store.erase("somebody else", "two") == []
    assert store.erase("web", "two") == [mine]
    assert store.delete_job(kept, "web")
    assert not store.delete_job(kept, "web")
    assert store.unfinished() == set()


def test_a_job_whose_upload_is_being_stored_is_erased_and_takes_room(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(url)
    finish_all(store)
    erased, died = new_id(), new_id()
    for job in (erased, died):
        assert store.add_job(job, "web", job, {}, max_unfinished=2)
        assert store.claim("too early", 60) is None
    assert not store.add_job(new_id(), "web", "three", {}, max_unfinished=2)
    assert store.unfinished() == {erased, died}
    assert store.erase("web", erased) == [erased]
    assert store.queue(erased) is None
    store.expire(3600)
    assert store.unfinished() == {died}
    monkeypatch.setattr("serving.api.job_store.ARRIVAL_SECONDS", -1)
    store.expire(3600)
    assert store.unfinished() == set()


def test_keys_share_the_room_and_take_turns(url: str) -> None:
    store = make_store(url)
    finish_all(store)

    def add(owner: str, recording: str) -> bool:
        job = new_id()
        added = store.add_job(job, owner, recording, {}, 8, shares=True)
        return added and store.queue(job) is not None

    assert [add("crowd", f"c{n}") for n in range(6)] == [True] * 4 + [False] * 2
    assert [add("late", f"l{n}") for n in range(2)] == [True] * 2
    taken = [store.claim("me", 60) for _ in range(6)]
    assert [job.recording for job in taken if job] == ["c0", "l0", "c1", "l1", "c2", "c3"]
    finish_all(make_store(url))


def test_uses_are_counted_together(url: str) -> None:
    databases, key = [ServiceDatabase(url), ServiceDatabase(url)], new_id()
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda n: count_request(databases[n % 2], key), range(20)))
    if len({left > counts[0][1] + 1 for _, left in counts}) == 1:  # all within one minute
        assert sorted(count for count, _ in counts) == list(range(1, 21))
    assert all(0 < left <= 60 for _, left in counts)
