"""What the registry names is followed role by role: one refused version keeps no other away."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.config import Settings
from components.register import promote
from serving.lineup import Lineup, Served
from serving.settings import TrafficSettings
from serving.supervisor.registry_follower import Follower
from tests.serving.versions import add, as_version

MakeModel = Callable[[Path, int], Path]


def test_an_unsigned_version_in_staging_keeps_no_candidate_away(
    make_model: MakeModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from mlflow import MlflowClient

    settings = Settings(home=tmp_path / "home")
    for number in (1, 2, 3):
        assert add(as_version(make_model(tmp_path / str(number), number)), settings) == number
    promote(1, settings, actor="a test")
    promote(2, settings, actor="a test", to="staging")
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    client.delete_model_version_tag("moodline", "2", "signature")

    traffic = TrafficSettings(canary_share=0.5, shadow_share=0.5)
    first = Lineup({"production": Served(1, tmp_path / "1")})
    follower = Follower(first, settings, traffic, tmp_path / "pointer")
    for _ in range(2):
        follower._ask()
    roles = {role: served.version for role, served in follower.desired.roles.items()}
    assert roles == {"production": 1, "candidate": 3}
    assert caplog.text.count("staging is not served: version 2: is not signed") == 1
