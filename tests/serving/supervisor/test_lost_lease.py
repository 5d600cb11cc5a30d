"""A copy that loses its lease changes nothing any more, and begins anew when it has it again."""

from pathlib import Path

import pytest

from components.config import Settings
from serving.lineup import Lineup, Served, read_pointer
from serving.settings import TrafficSettings
from serving.supervisor import leadership
from serving.supervisor.backend import Backend, pointer_path
from serving.triton.server import TritonServer
from tests.serving.load import wait_until
from tests.serving.steered import HOST

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


class Given:
    """A lease that the test gives and takes."""

    lapses = True

    def __init__(self) -> None:
        self.given = True

    def hold(self, holder: str) -> bool:
        return self.given

    def release(self, holder: str) -> None:
        self.given = False


def test_it_steers_no_more_and_resumes_what_the_other_left(
    two: list[TritonServer],
    models: dict[int, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leadership, "PAUSE_SECONDS", 0.05)
    settings = Settings(
        home=tmp_path / "home",
        model_repository=tmp_path / "repository",
        triton_url=two[0].grpc_url,
    )
    pointer = pointer_path(settings, 0)
    traffic = TrafficSettings(follow_seconds=0.2, watch_seconds=0.1, grace_seconds=0.2)
    leases = [Given(), Given()]
    copies = [
        Backend(settings, pointer, traffic=traffic, host=HOST, lease=lambda one=one: one)  # type: ignore[misc]
        for one in leases
    ]

    def production() -> int:
        return read_pointer(pointer).production.version

    first, second = copies
    leases[1].given = False
    try:
        for copy in copies:
            copy.start()
            copy.serve(Served(3, models[3]))
        assert production() == 3
        leases[0].given = False
        leader = first._leadership
        assert leader and wait_until(lambda: not leader.leads, 5)
        first._desired = Lineup({"production": Served(4, models[4])})
        assert not wait_until(lambda: production() == 4, 2), "it steers no more"
        assert two[0].control.versions() == [3]
        second._desired = first._desired
        leases[1].given = True
        assert wait_until(lambda: production() == 4, 60)
        assert wait_until(lambda: two[0].control.versions() == [4], 60)
        leases[1].given = False
        assert wait_until(lambda: not (second._leadership and second._leadership.leads), 5)
        leases[0].given = True
        assert wait_until(lambda: leader.term == 2, 5)

        def known() -> int:
            lineup = first._rollout.lineup if first._rollout else None
            return lineup.production.version if lineup else 0

        assert wait_until(lambda: known() == 4, 60), "not what it knew of its first term"
        assert two[0].control.versions() == [4]
    finally:
        for copy in copies:
            copy.stop()
