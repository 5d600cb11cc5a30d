"""A model repository in an object store is never seen half-written."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from components.base import InputError, Unavailable, Url, located
from components.config import Settings
from serving.lineup import Served
from serving.settings import HostSettings
from serving.supervisor.version_files import VersionFiles
from serving.triton.repository_store import DIGESTS, await_repository, prepare_repository
from tests.components.base.objects import Store, object_store

pytestmark = pytest.mark.servers


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("components.base.storage.ATTEMPTS", 1)
        yield running


def content(store: Store, key: str) -> bytes:
    body: bytes = store.client.get_object(Bucket="moodline", Key=key)["Body"].read()
    return body


def version_files(home: Path, url: str, *, gpu: bool = False) -> VersionFiles:
    settings = Settings(home=home, model_repository=url)
    host = HostSettings(instances=1, threads=1, gpu=gpu)
    places = settings.model_repository, home / "serving" / "models"
    return VersionFiles(*places, host, settings, "")


def whole(store: Store, prefix: str) -> set[int]:
    """The versions that the configuration in the store names; each has all its files."""
    names = store.names(prefix)
    if f"{prefix}/moodline/config.pbtxt" not in names:
        return set()
    config = content(store, f"{prefix}/moodline/config.pbtxt").decode()
    found = re.search(r"versions: \[ ([\d, ]+) \]", config)
    assert found
    versions = {int(number) for number in found[1].split(",")}
    for version in versions:
        digests = json.loads(content(store, f"{prefix}/moodline/{version}/{DIGESTS}"))
        assert digests.keys() == {"model.onnx", "model.py"}
        assert {f"{prefix}/moodline/{version}/{name}" for name in digests} <= set(names)
    return versions


def test_a_store_that_goes_away_at_any_moment_leaves_no_half(
    store: Store, models: dict[int, Path], tmp_path: Path
) -> None:
    files = version_files(tmp_path / "home", f"{store.url}/models")
    for version in (3, 4):
        files.restore(Served(version, models[version]))
    files.configure([3])
    assert whole(store, "models") == {3}
    began = len(store.door.asked)
    files.configure([3, 4])
    needed = len(store.door.asked) - began
    assert whole(store, "models") == {3, 4}
    began = len(store.door.asked)
    files.configure([3, 4])
    assert not [r for r in store.door.asked[began:] if r.startswith(("PUT", "POST"))], (
        "nothing is new"
    )
    for after in range(needed):
        prefix = f"cut-{after}"
        cut = version_files(tmp_path / "home", f"{store.url}/{prefix}")
        cut.configure([3])
        store.door.refuse(503, "SlowDown", after=after)
        with pytest.raises(Unavailable, match="the object store cannot now"):
            cut.configure([3, 4])
        store.door.refusal = None
        assert whole(store, prefix) == {3}
        cut.configure([3, 4])
        assert whole(store, prefix) == {3, 4}


def test_a_deleted_object_is_written_again(
    store: Store, models: dict[int, Path], tmp_path: Path
) -> None:
    files = version_files(tmp_path / "home", f"{store.url}/models")
    files.restore(Served(3, models[3]))
    files.configure([3])
    store.client.delete_object(Bucket="moodline", Key="models/moodline/3/model.onnx")
    files.configure([3])
    assert whole(store, "models") == {3}


def test_what_nobody_needs_is_deleted(
    store: Store, models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = version_files(tmp_path / "home", f"{store.url}/models", gpu=True)
    for version in (3, 4):
        files.restore(Served(version, models[version]))
    files.configure([3, 4])
    assert "models/moodline_graph_4/1/model.onnx" in store.names()
    files.configure([4])
    files.delete_all_but([4])
    assert "models/moodline/3/model.onnx" in store.names(), "another copy may be about to serve it"
    monkeypatch.setattr("serving.supervisor.version_files.MIN_AGE_SECONDS", -60.0)
    files.delete_all_but([4])
    assert not [name for name in store.names() if "/3/" in name or "graph_3" in name]
    assert "models/moodline_graph_4/1/model.onnx" in store.names()
    assert whole(store, "models") == {4}


@pytest.mark.parametrize("name", ["missing", "moodline"])
def test_a_fault_of_the_store_says_nothing_about_the_version(
    store: Store, name: str, models: dict[int, Path], tmp_path: Path
) -> None:
    """No bucket, or no right: not the version is refused for it."""
    files = version_files(tmp_path / "home", f"s3://{name}/models")
    if name == "moodline":
        store.door.refuse(403, "AccessDenied")
    files.restore(Served(3, models[3]))
    reason = "no such bucket" if name == "missing" else "refuses the credentials"
    with pytest.raises(Unavailable, match=f"s3://{name}/.*{reason}"):
        files.configure([3])
    with pytest.raises(Unavailable, match=reason):
        files.check_store()


def test_triton_waits_for_a_place_that_the_service_makes(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("serving.triton.repository_store.AWAIT_SECONDS", 0.05)
    place = located(f"{store.url}/models")
    assert isinstance(place, Url)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(await_repository, place)
        assert not wait([waiting], timeout=0.5).done
        prepare_repository(place)
        waiting.result(timeout=5)
    (line,) = [r.message for r in caplog.records if r.name == "serving.triton.repository_store"]
    assert line.startswith("s3://moodline/models: nothing lies there yet")
    with pytest.raises(InputError, match="no such bucket"):
        await_repository(Url("missing"))


def test_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODLINE_MODEL_REPOSITORY", "s3://calls/models")
    settings = Settings(home=tmp_path)
    assert settings.shared_repository == located("s3://calls/models")
    assert settings.model_repository == tmp_path / "model_repository"
    for name, value in settings.environment().items():  # as the service's processes get it
        monkeypatch.setenv(name, value)
    assert Settings().shared_repository == located("s3://calls/models")
