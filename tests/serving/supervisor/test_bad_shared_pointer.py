"""The pointer in the object store names what no copy can bring: one steers all the same."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from components.base import Url
from components.config import Settings
from components.register import promote, public_key
from serving.lineup import Lineup, parse_pointer, pointer_text
from serving.settings import TrafficSettings
from serving.supervisor.backend import Backend, pointer_path
from serving.supervisor.registry_follower import fetch
from tests.components.register.stores import BUCKET, simulated_s3
from tests.serving.steered import HOST
from tests.serving.supervisor.test_lost_lease import Given
from tests.serving.versions import add, as_version

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("fault", ["gone", "not trusted", "broken"])
def test_a_copy_steers_though_what_was_served_before_cannot_be_brought(
    fault: str,
    make_model: Callable[[Path, int], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    settings = Settings(
        home=tmp_path / "home",
        model_repository=f"s3://{BUCKET}/models",
        triton_url="127.0.0.1:1",  # nobody is there: to steer is to look for it
    )
    assert add(as_version(make_model(tmp_path / "1", 1)), settings) == 1
    before = fetch(1, settings)
    leaked = set((settings.home / "signing").glob("*.pub"))
    public_key(settings, new=True)
    assert add(as_version(make_model(tmp_path / "2", 2)), settings) == 2
    promote(2, settings, actor="a test")
    text = pointer_text(Lineup({"production": before}))
    if fault == "gone":
        text = text.replace('"version": 1', '"version": 7').replace('"version":1', '"version":7')
        assert parse_pointer(text.encode(), "").production.version == 7
    elif fault == "not trusted":
        for path in leaked:
            path.unlink()
    else:
        text = "{"
    lease = Given()
    lease.given = False
    pointer = pointer_path(settings, 3000)
    with simulated_s3() as simulator:
        for name, value in simulator.environment.items():
            monkeypatch.setenv(name, value)
        Url(BUCKET, "models/served.json").put_bytes(text.encode())
        backend = Backend(
            settings, pointer, traffic=TrafficSettings(), host=HOST, wait=True, lease=lambda: lease
        )
        backend.start()
        try:
            desired = backend._in_production()
            assert desired and desired.production.version == 2
            backend.first()
            lease.given = True  # the copy that steered is gone
            served = backend.serve()
        finally:
            backend.stop()
    assert served and served.version == 2
    assert "what the copy before served is not known: " in caplog.text
    assert "nothing can be served yet: the model server is away" in caplog.text
