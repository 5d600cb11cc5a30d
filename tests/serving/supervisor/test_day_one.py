"""From an empty registry to a first version, and on to one with other speech models."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from components.base import InputError
from components.config import Settings, load_profile
from components.register import promote
from serving.lineup import read_pointer
from serving.settings import ServeSettings, TrafficSettings
from serving.supervisor.serve import Serving
from tests.serving.helpers import post, upload, wait_until
from tests.serving.versions import add, as_version

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(300)]

MakeModel = Callable[[Path, int], Path]
NOTHING = "no version is in production yet; promote one"


@pytest.fixture
def settings(models_home: Path, tmp_path: Path) -> Settings:
    triton_env = Settings().triton_env.resolve()
    return Settings(home=tmp_path / "home", models=models_home, triton_env=triton_env)


def say(folder: Path, part: str, **change: object) -> Path:
    """Another profile in a version's folder."""
    path = folder / "profile.json"
    made_with = json.loads(path.read_text())
    made_with[part] |= change
    path.write_text(json.dumps(made_with))
    return folder


def test_without_a_version_a_laptop_is_refused_in_one_line(settings: Settings) -> None:
    with pytest.raises(InputError, match="no version is in production; train one"):
        Serving(settings, port=0).start()


def test_a_profile_of_other_speech_models_is_refused_in_one_line(
    make_model: MakeModel, settings: Settings, tmp_path: Path
) -> None:
    folder = say(as_version(make_model(tmp_path / "1", 1)), "transcribe", model="large-v2")
    promote(add(folder, settings), settings, actor="a test")
    with pytest.raises(InputError, match=r'made with transcribe\.model "large-v2"') as caught:
        Serving(settings, load_profile("tiny"), port=0).start()
    assert "\n" not in str(caught.value)
    assert not (settings.home / "logs" / "service.log").exists(), "the service was not started"


@pytest.fixture
def waiting(settings: Settings) -> Iterator[Serving]:
    traffic = TrafficSettings(follow_seconds=0.2, grace_seconds=0.2, canary_share=0.5)
    serve = ServeSettings(wait=True)
    running = Serving(settings, port=0, serve=serve, traffic=traffic)
    running.start()
    try:
        yield running
    finally:
        running.abort_requests()
        running.stop()


def test_it_waits_unready_for_the_first_version_and_follows_its_speech_models(
    waiting: Serving, make_model: MakeModel, settings: Settings, piece: bytes, tmp_path: Path
) -> None:
    def get(path: str) -> httpx.Response:
        return httpx.get(f"{waiting.url}/{path}", timeout=10)

    def status(path: str) -> int:
        try:
            return get(path).status_code
        except httpx.TransportError:
            return 0

    assert waiting.model is None
    assert wait_until(lambda: status("livez") == 200, 60)
    readiness = get("readyz")
    assert (readiness.status_code, NOTHING in readiness.text) == (503, True)
    refused = post(waiting, "analyze", files=upload(piece))
    assert refused.status_code == 503
    assert refused.json()["detail"].startswith(NOTHING)

    first = as_version(make_model(tmp_path / "1", 1))
    promote(add(first, settings), settings, actor="a test")
    assert wait_until(waiting.ready, 120)
    assert waiting.model and waiting.model.version == 1
    assert post(waiting, "analyze", files=upload(piece)).status_code == 200

    # Speech models that are not there: refused, and the first one goes on.
    absent = say(as_version(make_model(tmp_path / "2", 2)), "transcribe", model="absent")
    (absent / "speech_models.json").write_text(json.dumps({"absent": "0" * 64}))
    pointer = settings.home / "serving" / f"served-{waiting.port}.json"
    promote(add(absent, settings), settings, actor="a test")
    assert wait_until(lambda: 2 in read_pointer(pointer).refused, 60)
    assert "absent of digest 000000000000" in read_pointer(pointer).refused[2]
    assert post(waiting, "analyze", files=upload(piece)).json()["model"]["version"] == "1"

    # Others that are there: not beside version 1, but in its place, with models of its own.
    other = say(as_version(make_model(tmp_path / "3", 3)), "align", max_pause=0.0)
    promote(add(other, settings), settings, actor="a test", to="staging")
    assert wait_until(lambda: 3 in read_pointer(pointer).refused, 60)
    assert "other speech models than version 1" in read_pointer(pointer).refused[3]
    promote(3, settings, actor="a test")

    def answered() -> httpx.Response:
        return post(waiting, "analyze", files=upload(piece))

    seen: list[httpx.Response] = []

    def by_the_third() -> bool:
        seen.append(answered())
        assert seen[-1].status_code in (200, 503)
        return seen[-1].status_code == 200 and seen[-1].json()["model"]["version"] == "3"

    assert wait_until(by_the_third, 120)
    assert read_pointer(pointer).refused.keys() == {2}
