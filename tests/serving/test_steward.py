"""One of several Tritons dies or breaks, or the registry is away: what the others serve."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.numpy import load_file, save_file

from components.profile import Settings
from components.register import history, promote
from serving.backend import Backend, pointer_path
from serving.canary import halt_path
from serving.errors import NotReadyError, RefusedError
from serving.processes import free_ports
from serving.served import Lineup, Served, read_pointer, write_pointer
from serving.steward import Steward
from serving.traffic import TrafficSettings
from serving.triton import export
from serving.triton.control import read_golden
from serving.triton.export import HostSettings
from serving.triton.server import TritonServer
from serving.triton.setup import TritonEnvironment
from tests.serving.helpers import wait_until
from tests.serving.versions import add, as_version

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

MakeModel = Callable[[Path, int], Path]
GRACE = 0.2
TRAFFIC = TrafficSettings(follow_seconds=0.2, watch_seconds=0.001, grace_seconds=GRACE)
HOST = HostSettings(instances=1, threads=1)


@contextmanager
def triton(repository: Path, log: Path) -> Iterator[TritonServer]:
    """One that runs; killed in the end, as no test here is about how it stops."""
    environment = TritonEnvironment(Settings().triton_env.resolve())
    with TritonServer(environment, repository, log) as server:
        yield server
        server.stop(grace=0)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[TritonServer]]:
    """Two Tritons that share a repository."""
    with ExitStack() as stack:
        servers = [triton(tmp_path / "repository", tmp_path / f"{i}.log") for i in range(2)]
        yield [stack.enter_context(server) for server in servers]


@pytest.fixture
def steward(two: list[TritonServer], tmp_path: Path) -> Iterator[Steward]:
    """Who steers both."""
    urls = [server.grpc_url for server in two]
    folders = (tmp_path / "repository", tmp_path / "fetched", tmp_path / "served.json")
    steward = Steward(urls, *folders, TRAFFIC, HOST)
    yield steward
    steward.close()


def lineup(models: dict[int, Path], version: int) -> Lineup:
    return Lineup(Served(version, models[version]))


def wrong(folder: Path) -> Path:
    """The model with other golden answers than its own."""
    golden = load_file(folder / "golden.safetensors")
    golden["probabilities"] = golden["probabilities"][::-1].copy()
    save_file(golden, folder / "golden.safetensors")
    return folder


@pytest.mark.parametrize("step", ["load", "prove"])
def test_a_triton_that_goes_away_meanwhile_says_nothing_about_the_version(
    step: str,
    two: list[TritonServer],
    steward: Steward,
    models: dict[int, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steward.tend(lineup(models, 3))
    control = steward._tritons.all[1]
    go_on = getattr(control, step)

    def interrupted(*arguments: Any) -> Any:
        two[1].stop(grace=0)
        if step == "prove":
            two[1].start()  # it is back before anybody looks, and holds nothing
        return go_on(*arguments)

    monkeypatch.setattr(control, step, interrupted)
    with pytest.raises(NotReadyError, match="went away"):
        steward.tend(lineup(models, 4))
    assert read_pointer(tmp_path / "served.json").production.version == 3
    monkeypatch.undo()
    steward.tend(lineup(models, 4))
    pointer = read_pointer(tmp_path / "served.json")
    assert (pointer.production.version, pointer.refused) == (4, {})
    if step == "load":
        two[1].start()
        steward.tend(lineup(models, 4))
    assert two[1].control.prove(4, read_golden(models[4])) < 1e-4


def answers(server: TritonServer, folder: Path, version: int) -> bool:
    """Whether that version's right answers come from there."""
    try:
        return server.control.prove(version, read_golden(folder), timeout=5) < 1e-4
    except NotReadyError:
        return False


def deadly(folder: Path, repository: Path, version: int) -> Path:
    """`export_version`, but version 4 kills the Triton that loads it, as a lack of memory would."""
    exported = export.export_version(folder, repository, version)
    if version == 4:
        kill = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
        (exported / "model.py").write_text(kill)
    return exported


@pytest.fixture
def own(tmp_path: Path) -> Iterator[TritonServer]:
    """A Triton that the steward starts anew."""
    with triton(tmp_path / "repository", tmp_path / "own.log") as server:
        yield server


@pytest.mark.parametrize("ours", [True, False])
def test_a_version_that_kills_triton_takes_no_traffic_and_production_comes_back(
    ours: bool,
    own: TritonServer,
    models: dict[int, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pointer = tmp_path / "served.json"
    folders = (tmp_path / "repository", tmp_path / "fetched", pointer)
    steward = Steward([own.grpc_url], *folders, TRAFFIC, HOST, own if ours else None)

    def tend(version: int) -> None:
        if not ours and not own.running:  # somebody else does that
            own.stop(grace=0)
            own.start()
        with suppress(NotReadyError):
            steward.tend(lineup(models, version))

    def comes_back(wanted: int) -> bool:
        tend(wanted)
        return answers(own, models[3], 3)

    try:
        tend(3)
        monkeypatch.setattr("serving.steward.export_version", deadly)
        tend(4)
        assert not own.running
        assert wait_until(lambda: comes_back(3), 20), "it was rolled back"
        assert wait_until(lambda: comes_back(4) and bool(read_pointer(pointer).refused), 40)
        assert "ended 3 times" in read_pointer(pointer).refused[4]
        assert read_pointer(pointer).production.version == 3
        assert own.control.versions() == [3]
    finally:
        steward.close()


def test_the_other_versions_processes_stay_when_one_is_made_anew(
    own: TritonServer, models: dict[int, Path], tmp_path: Path
) -> None:
    folders = (tmp_path / "repository", tmp_path / "fetched", tmp_path / "served.json")
    steward = Steward([own.grpc_url], *folders, TRAFFIC, HOST, own)
    both = Lineup(Served(3, models[3]), Served(4, models[4]))
    try:
        steward.tend(Lineup(Served(3, models[3])))
        (kept,) = own.stubs()
        steward.tend(both)
        for pid in set(own.stubs()) - {kept}:
            psutil.Process(pid).kill()
        steward.tend(both)
        assert answers(own, models[4], 4)
        assert kept in own.stubs() and len(own.stubs()) == 2
    finally:
        steward.close()


def test_a_folder_that_is_just_being_replaced_is_read_again(
    steward: Steward, models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, aside = tmp_path / "fetched" / "5", tmp_path / "fetched" / ".5.old"
    shutil.copytree(models[5], aside)
    monkeypatch.setattr("serving.steward.time.sleep", lambda _: aside.rename(folder))
    steward.tend(Lineup(Served(5, folder)))
    assert read_pointer(tmp_path / "served.json").refused == {}


def test_a_broken_triton_keeps_nobody_from_the_others(
    two: list[TritonServer],
    steward: Steward,
    models: dict[int, Path],
    tmp_path: Path,
) -> None:
    steward.tend(lineup(models, 3))
    steward.tend(lineup(models, 4))
    two[0].stop(grace=0)
    two[0].repository = tmp_path / "nothing"  # whatever it is told to load, it cannot
    two[0].start()
    assert two[1].control.versions() == [3, 4]
    for pid in two[1].stubs():
        psutil.Process(pid).kill()
    time.sleep(GRACE)
    steward.tend(lineup(models, 4))
    assert two[1].control.versions() == [4]
    assert two[1].control.prove(4, read_golden(models[4])) < 1e-4


def test_what_nobody_needs_is_deleted_but_for_the_production_before(
    steward: Steward, models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = {v: shutil.copytree(models[v], tmp_path / "fetched" / str(v)) for v in models}
    other = shutil.copytree(models[3], tmp_path / "fetched" / "2")
    for version in models:
        steward.tend(lineup(fetched, version))
        time.sleep(GRACE)
        steward.tend(lineup(fetched, version))
    assert other.is_dir(), "it is young: another copy may be fetching it"
    monkeypatch.setattr(export, "YOUNG", 0.0)
    steward.tend(lineup(fetched, 4))
    time.sleep(GRACE)
    steward.tend(lineup(fetched, 4))
    for folder in (tmp_path / "fetched", tmp_path / "repository" / "moodline"):
        assert {path.name for path in folder.iterdir() if path.is_dir()} == {"4", "5"}


def test_what_another_service_serves_is_not_deleted(
    steward: Steward, models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "YOUNG", 0.0)
    fetched = {v: shutil.copytree(models[v], tmp_path / "fetched" / str(v)) for v in models}
    write_pointer(tmp_path / "served-3001.json", lineup(fetched, 3))
    halt_path(tmp_path / "served-3001.json").write_text('{"version": 2, "reason": "slow"}')
    shutil.copytree(models[3], tmp_path / "fetched" / "2")
    for version in (4, 5):
        steward.tend(lineup(fetched, version))
        time.sleep(GRACE)
        steward.tend(lineup(fetched, version))
    assert {path.name for path in (tmp_path / "fetched").iterdir()} == {"3", "4", "5"}


def test_a_version_whose_files_are_gone_keeps_nobody_from_the_others(
    two: list[TritonServer], steward: Steward, models: dict[int, Path], tmp_path: Path
) -> None:
    steward.tend(Lineup(Served(3, models[3])))
    shutil.rmtree(tmp_path / "repository" / "moodline" / "3")
    for server in two:
        for pid in server.stubs():
            psutil.Process(pid).kill()
    steward.tend(Lineup(Served(3, models[3])))  # it says what it cannot do, and goes on


@pytest.fixture
def settings(make_model: MakeModel, two: list[TritonServer], tmp_path: Path) -> Settings:
    """A registry with version 1 in production and a bad version 2; two Tritons."""
    urls = ",".join(server.grpc_url for server in two)
    repository = tmp_path / "repository"
    settings = Settings(home=tmp_path / "home", model_repository=repository, triton_url=urls)
    assert add(as_version(make_model(tmp_path / "1", 1)), settings) == 1
    assert add(wrong(as_version(make_model(tmp_path / "2", 2))), settings) == 2
    promote(1, settings, actor="a test")
    return settings


@pytest.fixture
def copy() -> Iterator[Callable[[Settings], Backend]]:
    """A copy of what steers the Tritons, started."""
    with ExitStack() as stack:

        def start(settings: Settings) -> Backend:
            traffic = TRAFFIC.model_copy(update={"canary_share": 0.5})
            backend = Backend(settings, pointer_path(settings, 0), traffic, HOST, None)
            backend.start()
            stack.callback(backend.stop)
            return backend

        yield start


def serve_and_stop(backend: Backend) -> None:
    assert backend.serve().version == 1
    backend.stop()


def test_without_the_registry_what_was_served_last_is_served(
    settings: Settings, copy: Callable[[Settings], Backend]
) -> None:
    serve_and_stop(copy(settings))
    away = settings.model_copy(update={"mlflow_uri": f"http://127.0.0.1:{free_ports(1)[0]}"})
    assert copy(away).serve().version == 1


def test_without_the_registry_a_triton_of_ones_own_serves_what_was_served_last(
    settings: Settings, copy: Callable[[Settings], Backend]
) -> None:
    own = settings.model_copy(
        update={"triton_url": "", "triton_env": Settings().triton_env.resolve()}
    )
    serve_and_stop(copy(own))
    away = own.model_copy(update={"mlflow_uri": f"http://127.0.0.1:{free_ports(1)[0]}"})
    backend = copy(away)
    assert backend.serve().version == 1
    assert backend.server and answers(backend.server, settings.home.parent / "1", 1)


def test_where_a_version_is_refused_at_the_start_what_was_served_last_is_served(
    settings: Settings, two: list[TritonServer], copy: Callable[[Settings], Backend]
) -> None:
    with pytest.raises(RefusedError, match="version 2 takes no traffic"):
        (backend := copy(settings)).serve(Served(2, settings.home.parent / "2"))
    backend.stop()
    serve_and_stop(copy(settings))
    for server in two:  # they hold nothing any more
        server.stop(grace=0)
        server.start()
    promote(2, settings, actor="a test")
    assert copy(settings).serve().version == 1
    assert list(read_pointer(pointer_path(settings, 0)).refused) == [2]
    assert two[0].control.versions() == [1]


def test_it_waits_for_tritons_that_are_away(
    settings: Settings, two: list[TritonServer], copy: Callable[[Settings], Backend]
) -> None:
    for server in two:
        server.stop(grace=0)
    assert copy(settings).serve().version == 1
    assert not pointer_path(settings, 0).exists()
    two[1].start()
    assert wait_until(pointer_path(settings, 0).exists, 20)
    assert two[1].control.versions() == [1]


def test_a_canary_that_was_halted_stays_halted_when_the_service_starts_anew(
    settings: Settings, copy: Callable[[Settings], Backend], make_model: MakeModel
) -> None:
    pointer = pointer_path(settings, 0)
    staged = add(as_version(make_model(settings.home.parent / "3", 3)), settings)
    promote(staged, settings, actor="a test", to="staging")
    halt = halt_path(pointer)
    halt.parent.mkdir(parents=True, exist_ok=True)
    halt.write_text(f'{{"version": {staged}, "reason": "it was slow"}}')
    copy(settings).serve()
    assert wait_until(lambda: history(settings)[-1].action == "rollback", 20)
    assert history(settings)[-1].reason == "canary: it was slow"
    assert wait_until(lambda: not halt.exists(), 10), "the registry says that it has left"
    assert read_pointer(pointer).staging is None
