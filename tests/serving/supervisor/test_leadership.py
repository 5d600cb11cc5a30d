"""One copy steers at a time: by a Lease of Kubernetes, by a row of PostgreSQL, by a file's lock."""

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from components.base import InputError
from components.config import Settings
from serving.settings import ServeSettings
from serving.supervisor import leadership, leases
from serving.supervisor.kubernetes_lease import KubernetesLease
from serving.supervisor.leadership import Leadership, lease_for
from serving.supervisor.leases import DatabaseLease, FileLease, Lease
from serving.supervisor.serve import Serving
from tests.serving.helpers import wait_until
from tests.serving.supervisor.lease_api import LeaseApi, lease_api

pytestmark = [pytest.mark.servers, pytest.mark.timeout(60)]

QUICK = {"SECONDS": 3.0, "RENEW_SECONDS": 2.4, "PAUSE_SECONDS": 0.2}

HOLD = """
import sys, time
from pathlib import Path
from serving.supervisor import leadership, leases
from serving.settings import ServeSettings
for name, value in {quick}.items():
    setattr(leases if name == "SECONDS" else leadership, name, value)
held = leadership.Leadership(leadership.lease_for(ServeSettings(), Path(sys.argv[1])))
held.start()
while True:
    print(int(held.leads), flush=True)
    time.sleep(0.02)
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUICK.items():
        monkeypatch.setattr(leases if name == "SECONDS" else leadership, name, value)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> Iterator[LeaseApi]:
    with lease_api(tmp_path / "kubeconfig") as running:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        # The client reads the variable when it is imported.
        from kubernetes.config import kube_config

        place = str(tmp_path / "kubeconfig")
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", place)
        yield running
    assert not running.faults


@pytest.fixture(params=["kubernetes", "database"])
def serve(
    request: pytest.FixtureRequest, api: LeaseApi, database: Callable[[str], str]
) -> ServeSettings:
    """What names the lease; of a test's own."""
    if request.param == "kubernetes":
        return ServeSettings(leader="kubernetes")
    return ServeSettings(store=database(f"lease_{time.monotonic_ns()}"))


def lease(serve: ServeSettings) -> Lease:
    return lease_for(serve, Path("unused"))


class Pair:
    """Two who want a lease; `both` once they led at the same time."""

    def __init__(self, first: Leadership, second: Leadership) -> None:
        self.first, self.second = first, second
        self.both = False

    def becomes(self, true: Callable[[], bool], seconds: float = 8.0) -> bool:
        def looked() -> bool:
            self.both |= self.first.leads and self.second.leads
            return true()

        return wait_until(looked, seconds)


@pytest.fixture
def pair(serve: ServeSettings) -> Iterator[Pair]:
    two = Pair(Leadership(lease(serve)), Leadership(lease(serve)))
    two.first.start()
    two.second.start()
    yield two
    two.first.stop()
    two.second.stop()
    assert not two.both


def test_one_leads_until_it_lets_go(pair: Pair) -> None:
    assert pair.first.leads
    assert not pair.becomes(lambda: pair.second.leads, 1.5 * QUICK["SECONDS"])
    began = time.monotonic()
    pair.first.stop()
    assert pair.becomes(lambda: pair.second.leads)
    assert time.monotonic() - began < QUICK["SECONDS"], "nobody had to wait for the lease's end"
    # A machine that stands still for a moment makes the first take its lease again: term 2.
    assert (pair.first.term >= 1, pair.second.term) == (True, 1)


def test_a_lease_that_is_not_renewed_is_anothers_once_its_holder_has_stopped(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder's thread hangs; what it steers does not."""
    monkeypatch.setattr(pair.first, "_ask", lambda: None)
    began = time.monotonic()
    assert pair.becomes(lambda: not pair.first.leads)
    assert not pair.second.leads, "first the one stops, then the other begins"
    assert pair.becomes(lambda: pair.second.leads)
    assert time.monotonic() - began > QUICK["SECONDS"] - QUICK["PAUSE_SECONDS"] - 0.1


@pytest.mark.parametrize(
    ("serve", "number"),
    [("kubernetes", signal.SIGSTOP), ("database", signal.SIGKILL)],
    indirect=["serve"],
)
def test_another_leads_when_the_holder_is_killed_or_frozen(
    serve: ServeSettings, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODLINE_SERVE_LEADER", serve.leader)
    monkeypatch.setenv("MOODLINE_SERVE_STORE", serve.store)
    command = [sys.executable, "-c", HOLD.format(quick=QUICK), "unused"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        try:
            assert wait_until(lambda: holder.stdout.readline() == "1\n", 20)  # type: ignore[union-attr]
            other = Leadership(lease(serve))
            other.start()
            assert not other.leads
            holder.send_signal(number)
            assert wait_until(lambda: other.leads, 8)
            if number == signal.SIGSTOP:
                before = time.monotonic()
                holder.send_signal(signal.SIGCONT)
                # What it wrote before it was frozen is read first; then it leads no more.
                assert wait_until(lambda: holder.stdout.readline() == "0\n", 5)  # type: ignore[union-attr]
                while time.monotonic() < before + 1:
                    assert holder.stdout.readline() == "0\n"
                assert other.leads
        finally:
            holder.kill()
    other.stop()


def test_the_api_server_is_away(api: LeaseApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = Leadership(KubernetesLease("moodline"))
    one.start()
    assert one.leads
    api.up = False
    assert wait_until(lambda: not one.leads, 3), "it stops steering by itself"
    (line,) = [r.message for r in caplog.records if "does not answer" in r.message]
    assert "the Lease moodline/moodline: the API server does not answer" in line
    api.up = True
    assert wait_until(lambda: one.leads, 3)
    assert one.term == 2, "it may not go on with what it knew"
    one.stop()
    spec = api.leases["moodline", "moodline"]["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("", 0)


def test_a_right_that_is_missing_is_one_line(
    api: LeaseApi, caplog: pytest.LogCaptureFixture
) -> None:
    api.forbidden = {"create"}
    one = Leadership(KubernetesLease("moodline"))
    one.start()
    time.sleep(3 * QUICK["PAUSE_SECONDS"])
    assert not one.leads
    one.stop()
    (line,) = [record.message for record in caplog.records]
    assert "the API server refuses: 403 leases is forbidden" in line
    assert "get, create and update of leases" in line


def test_of_two_that_write_one_version_one_is_refused(api: LeaseApi) -> None:
    """The compare-and-set by resourceVersion."""
    first, second = KubernetesLease("moodline"), KubernetesLease("moodline")
    assert first.hold("first")
    read = second._read()
    assert first.hold("first")
    read.spec.holder_identity = "second"
    assert not second._replace(read)
    assert api.leases["moodline", "moodline"]["spec"]["holderIdentity"] == "first"


def test_a_lease_of_another_program_that_begins_with_a_second(api: LeaseApi) -> None:
    """Python writes no fraction of a whole second, and the API server wants six digits."""
    first = KubernetesLease("moodline")
    assert first.hold("first")
    api.leases["moodline", "moodline"]["spec"]["acquireTime"] = "2026-11-30T02:00:00.000000Z"
    assert first.hold("first")
    first.release("first")
    assert first.hold("second")


def test_the_lock_of_a_file(tmp_path: Path) -> None:
    first, second = FileLease(tmp_path / "new" / "a.lock"), FileLease(tmp_path / "new" / "a.lock")
    assert first.hold("first") and first.hold("first")
    assert not second.hold("second")
    first.release("first")
    assert second.hold("second")


def test_the_settings_name_it(tmp_path: Path) -> None:
    pointer, postgresql = tmp_path / "served.json", "postgresql+psycopg2://u@db/m"
    sqlite = f"sqlite:///{tmp_path}/store.db"
    for store, kind in ((postgresql, DatabaseLease), (sqlite, FileLease), ("", FileLease)):
        assert type(lease_for(ServeSettings(store=store), pointer)) is kind
    given = ServeSettings(store=postgresql, leader="file")
    assert type(lease_for(given, pointer)) is FileLease
    with pytest.raises(InputError, match="MOODLINE_SERVE_LEADER=database: MOODLINE_SERVE_STORE"):
        lease_for(ServeSettings(leader="database"), pointer)


@pytest.mark.parametrize("leader", ["auto", "file"])
def test_a_lock_of_a_file_is_refused_where_the_repository_is_shared_by_url(
    leader: Literal["auto", "file"], tmp_path: Path
) -> None:
    """Each home and each port would have a lock of its own, and several copies would steer."""
    place, pointer = "s3://moodline/models", tmp_path / "served.json"
    settings = Settings(home=tmp_path, model_repository=place, triton_url="127.0.0.1:1")
    told = f"^MOODLINE_SERVE_LEADER={leader}: .* {place}; set kubernetes, .*$"
    with pytest.raises(InputError, match=told):
        lease_for(ServeSettings(leader=leader), pointer, place)
    serving = Serving(settings, port=3000, serve=ServeSettings(leader=leader))
    with pytest.raises(InputError, match=told):
        serving._backend.start()
    serving._backend.stop()
    postgresql = ServeSettings(store="postgresql+psycopg2://u@db/m")
    assert type(lease_for(postgresql, pointer, place)) is DatabaseLease


def test_kubernetes_is_named_and_this_is_no_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kubernetes.config import kube_config

    absent = str(tmp_path / "none")
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", absent)
    with pytest.raises(InputError, match="MOODLINE_SERVE_LEADER=kubernetes: this is no pod"):
        lease_for(ServeSettings(leader="kubernetes"), tmp_path / "served.json")
