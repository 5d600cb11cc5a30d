"""A key is trusted no longer: what it signed is proven again, while served and at a start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.config import Settings
from components.register import NotTrustedError, promote, public_key, sign_version
from serving.lineup import Lineup, Served, write_pointer
from serving.processes import free_ports
from serving.settings import HostSettings, TrafficSettings
from serving.supervisor.backend import Backend
from serving.supervisor.registry_follower import Follower, fetch, read_last
from tests.serving.versions import add, as_version

MakeModel = Callable[[Path, int], Path]


@pytest.fixture
def settings(make_model: MakeModel, tmp_path: Path) -> Settings:
    """Version 1 in production, version 2 in staging."""
    settings = Settings(home=tmp_path / "home")
    for number in (1, 2):
        assert add(as_version(make_model(tmp_path / str(number), number)), settings) == number
    promote(1, settings, actor="a test")
    promote(2, settings, actor="a test", to="staging")
    return settings


def revoke(settings: Settings) -> None:
    """As pipelines/README says: a new key, and the old one's public half is deleted."""
    folder = settings.home / "signing"
    before = set(folder.glob("*.pub"))
    public_key(settings, new=True)
    for path in before:
        path.unlink()


def served(settings: Settings) -> Lineup[Served]:
    return Lineup({"production": fetch(1, settings), "staging": fetch(2, settings)})


def test_while_it_runs_production_stays_and_what_is_on_trial_goes_until_it_is_signed_again(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    traffic = TrafficSettings(canary_share=0.5)
    follower = Follower(served(settings), settings, traffic, tmp_path / "pointer")

    def followed() -> dict[str, int]:
        follower._ask()
        return {role: one.version for role, one in follower.desired.roles.items()}

    assert followed() == {"production": 1, "staging": 2}
    revoke(settings)
    assert followed() == followed() == {"production": 1}
    assert caplog.text.count("production is not served: version 1: is signed with the key") == 1
    assert caplog.text.count("; version 1 stays served") == 1
    assert caplog.text.count("staging is not served: version 2: is signed with the key") == 1
    for number in (1, 2):
        sign_version(number, settings, actor="ann", reason="made here in March")
    assert followed() == {"production": 1, "staging": 2}
    assert read_last(pointer_with(follower.desired, tmp_path), settings).roles.keys() == {
        "production", "staging",
    }  # fmt: skip


def pointer_with(lineup: Lineup[Served], folder: Path) -> Path:
    write_pointer(folder / "served.json", lineup)
    return folder / "served.json"


@pytest.mark.parametrize("registry", ["there", "away"])
def test_at_a_restart_nothing_is_served_that_is_trusted_no_longer(
    settings: Settings, tmp_path: Path, registry: str
) -> None:
    pointer = pointer_with(served(settings), tmp_path)
    if registry == "away":
        url = f"http://127.0.0.1:{free_ports(1)[0]}"
        settings = settings.model_copy(update={"mlflow_uri": url, "triton_url": "127.0.0.1:1"})
    else:
        settings = settings.model_copy(update={"triton_url": "127.0.0.1:1"})
    before = Backend(settings, pointer, traffic=TrafficSettings(), host=HostSettings())
    assert before._in_production().production.version == 1
    (settings.home / "signing").rename(tmp_path / "away")
    (settings.home / "signing").mkdir()
    with pytest.raises(NotTrustedError, match="version 1: is signed with the key"):
        before._in_production()


def test_what_another_copy_left_on_trial_is_proven_again(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lineup = served(settings)
    revoke(settings)
    sign_version(1, settings, actor="ann", reason="made here in March")
    again = Lineup({"production": fetch(1, settings), "staging": lineup.roles["staging"]})
    assert read_last(pointer_with(again, tmp_path), settings).roles.keys() == {"production"}
    assert "staging is not served: version 2: is signed with the key" in caplog.text
    with pytest.raises(NotTrustedError, match="version 1"):
        read_last(pointer_with(lineup, tmp_path), settings)


def test_what_an_older_release_served_last_is_proven_first(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It noted no signature; once MLflow answers, there is one."""
    lineup = served(settings)
    unsigned = {role: Served(one.version, one.folder) for role, one in lineup.roles.items()}
    on_trial = Lineup({**lineup.roles, "staging": unsigned["staging"]})
    assert read_last(pointer_with(on_trial, tmp_path), settings).roles.keys() == {"production"}
    assert "staging is not served: version 2: " in caplog.text
    pointer = pointer_with(Lineup(unsigned), tmp_path)
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    settings = settings.model_copy(update={"triton_url": "127.0.0.1:1"})
    away = settings.model_copy(update={"mlflow_uri": url})
    with pytest.raises(NotTrustedError, match=r"^version 1: .*start again when MLflow answers$"):
        Backend(away, pointer, traffic=TrafficSettings(), host=HostSettings())._in_production()
    again = Backend(
        settings, pointer, traffic=TrafficSettings(), host=HostSettings()
    )._in_production()
    assert again.production == lineup.roles["production"]
