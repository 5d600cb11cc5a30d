"""One of several Tritons dies or breaks: what the others serve."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.errors import NotReadyError
from serving.lineup import Lineup, Served, halt_path, read_pointer, write_pointer
from serving.supervisor.rollout import Rollout
from serving.triton import repository as export
from serving.triton.control import read_golden
from serving.triton.server import TritonServer
from tests.serving.steered import GRACE, HOST, TRAFFIC, lineup, stubs, wrong

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


@pytest.fixture
def rollout(two: list[TritonServer], tmp_path: Path) -> Iterator[Rollout]:
    """Who steers both."""
    urls = [server.grpc_url for server in two]
    folders = (tmp_path / "repository", tmp_path / "fetched", tmp_path / "served.json")
    rollout = Rollout(urls, *folders, traffic=TRAFFIC, host=HOST)
    yield rollout
    rollout.close()


@pytest.mark.parametrize("step", ["load", "prove"])
def test_a_triton_that_goes_away_meanwhile_says_nothing_about_the_version(
    step: str,
    two: list[TritonServer],
    rollout: Rollout,
    models: dict[int, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rollout.step(lineup(models, 3))
    control = rollout._fleet.controls[1]
    go_on = getattr(control, step)

    def interrupted(*arguments: Any) -> Any:
        two[1].stop(grace=0)
        if step == "prove":
            two[1].start()  # it is back before anybody looks, and holds nothing
        return go_on(*arguments)

    monkeypatch.setattr(control, step, interrupted)
    with pytest.raises(NotReadyError, match="went away"):
        rollout.step(lineup(models, 4))
    assert read_pointer(tmp_path / "served.json").production.version == 3
    monkeypatch.undo()
    rollout.step(lineup(models, 4))
    pointer = read_pointer(tmp_path / "served.json")
    assert (pointer.production.version, pointer.refused) == (4, {})
    if step == "load":
        two[1].start()
        rollout.step(lineup(models, 4))
    assert two[1].control.prove(4, read_golden(models[4])) < 1e-4


def test_a_folder_that_is_just_being_replaced_is_read_again(
    rollout: Rollout, models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, aside = tmp_path / "fetched" / "5", tmp_path / "fetched" / ".5.old"
    shutil.copytree(models[5], aside)
    monkeypatch.setattr("serving.supervisor.rollout.time.sleep", lambda _: aside.rename(folder))
    rollout.step(Lineup({"production": Served(5, folder)}))
    assert read_pointer(tmp_path / "served.json").refused == {}


def test_a_broken_triton_keeps_nobody_from_the_others(
    two: list[TritonServer],
    rollout: Rollout,
    models: dict[int, Path],
    tmp_path: Path,
) -> None:
    rollout.step(lineup(models, 3))
    rollout.step(lineup(models, 4))
    two[0].stop(grace=0)
    two[0].repository = tmp_path / "nothing"  # whatever it is told to load, it cannot
    two[0].start()
    assert two[1].control.versions() == [3, 4]
    for process in stubs(two[1]):
        process.kill()
    time.sleep(GRACE)
    rollout.step(lineup(models, 4))
    assert two[1].control.versions() == [4]
    assert two[1].control.prove(4, read_golden(models[4])) < 1e-4


def test_what_nobody_needs_is_deleted_but_for_the_production_before(
    rollout: Rollout, models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = {v: shutil.copytree(models[v], tmp_path / "fetched" / str(v)) for v in models}
    other = shutil.copytree(models[3], tmp_path / "fetched" / "2")
    for version in models:
        rollout.step(lineup(fetched, version))
        time.sleep(GRACE)
        rollout.step(lineup(fetched, version))
    assert other.is_dir(), "it is young: another copy may be fetching it"
    monkeypatch.setattr(export, "MIN_AGE_SECONDS", 0.0)
    rollout.step(lineup(fetched, 4))
    time.sleep(GRACE)
    rollout.step(lineup(fetched, 4))
    for folder in (tmp_path / "fetched", tmp_path / "repository" / "moodline"):
        assert {path.name for path in folder.iterdir() if path.is_dir()} == {"4", "5"}


def test_what_another_service_serves_is_not_deleted(
    rollout: Rollout, models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MIN_AGE_SECONDS", 0.0)
    fetched = {v: shutil.copytree(models[v], tmp_path / "fetched" / str(v)) for v in models}
    write_pointer(tmp_path / "served-3001.json", lineup(fetched, 3))
    halt_path(tmp_path / "served-3001.json").write_text('{"version": 2, "reason": "slow"}')
    shutil.copytree(models[3], tmp_path / "fetched" / "2")
    for version in (4, 5):
        rollout.step(lineup(fetched, version))
        time.sleep(GRACE)
        rollout.step(lineup(fetched, version))
    assert {path.name for path in (tmp_path / "fetched").iterdir()} == {"3", "4", "5"}


def test_a_copy_that_takes_over_leaves_what_drains_loaded_for_the_grace_time(
    two: list[TritonServer], rollout: Rollout, models: dict[int, Path], tmp_path: Path
) -> None:
    """Services that have not seen the new pointer still ask the version before."""
    fetched = {v: shutil.copytree(models[v], tmp_path / "fetched" / str(v)) for v in models}
    repository = tmp_path / "repository"
    rollout.step(lineup(fetched, 3))
    rollout.step(lineup(fetched, 4))
    shutil.copytree(fetched[3], tmp_path / "fetched" / "6")
    wrong(fetched[5])
    for number in (5, 6):  # the one that steered was killed before it had proven them
        export.export_version(fetched[5], repository, number)
    export.serve_versions(repository, [3, 4, 5, 6], HOST)
    for server in two:
        server.control.load()
    traffic = TRAFFIC.model_copy(update={"grace_seconds": 2.0})
    folders = (repository, tmp_path / "fetched", tmp_path / "served.json")
    another = Rollout([server.grpc_url for server in two], *folders, traffic=traffic, host=HOST)
    try:
        another.step(lineup(fetched, 5))
        assert [server.control.versions() for server in two] == [[3, 4]] * 2
        pointer = read_pointer(tmp_path / "served.json")
        assert pointer.production.version == 4
        assert "off its golden" in pointer.refused[5], "it is proven, although Triton holds it"
        time.sleep(2.0)
        another.step(lineup(fetched, 4))
        assert [server.control.versions() for server in two] == [[4]] * 2
    finally:
        another.close()


def test_a_version_whose_files_are_gone_keeps_nobody_from_the_others(
    two: list[TritonServer], rollout: Rollout, models: dict[int, Path], tmp_path: Path
) -> None:
    rollout.step(lineup(models, 3))
    shutil.rmtree(tmp_path / "repository" / "moodline" / "3")
    for server in two:
        for process in stubs(server):
            process.kill()
    rollout.step(lineup(models, 3))  # it says what it cannot do, and goes on
