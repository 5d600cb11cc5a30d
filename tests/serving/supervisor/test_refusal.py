"""Which version is to blame when Triton fails, and when it takes no more traffic."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from serving.errors import NotReadyError
from serving.lineup import Lineup, Role, Served, read_pointer
from serving.settings import HostSettings
from serving.supervisor.fleet import Fleet
from serving.supervisor.rollout import Rollout
from serving.supervisor.states import RolloutVersion, State
from serving.triton import repository as export
from serving.triton.control import read_golden
from serving.triton.errors import TritonLateError
from serving.triton.server import TritonServer
from tests.serving.helpers import wait_until
from tests.serving.steered import HOST, TRAFFIC, answers, lineup, stubs, triton

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


LOAD_SECONDS = 3


def slow_to_load(folder: Path, repository: Path, version: int) -> Path:
    """`export_version`, but version 4 takes seconds to load, as one that TensorRT makes does."""
    exported = export.export_version(folder, repository, version)
    if version == 4:
        program = exported / "model.py"
        program.write_text(f"import time\ntime.sleep({LOAD_SECONDS})\n{program.read_text()}")
    return exported


@pytest.mark.parametrize("seconds", [0.5, 30.0])
def test_a_version_that_takes_too_long_to_load_is_refused(
    own: TritonServer,
    models: dict[int, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    folders = (tmp_path / "repository", tmp_path / "fetched", tmp_path / "served.json")
    rollout = Rollout([own.grpc_url], *folders, traffic=TRAFFIC, host=HOST)
    rollout.step(lineup(models, 3))
    monkeypatch.setattr("serving.supervisor.version_files.export_version", slow_to_load)
    rollout._fleet.controls[0].load_seconds = seconds
    rollout.step(lineup(models, 4))
    rollout.close()
    pointer = read_pointer(tmp_path / "served.json")
    if seconds == 30.0:
        assert (pointer.production.version, pointer.refused) == (4, {})
    else:
        assert pointer.production.version == 3
        assert pointer.refused[4] == "Triton cannot load the model: it takes longer than 0.5 s"


@pytest.mark.parametrize(("gpu", "seconds"), [(False, 120.0), (True, 1800.0)])
def test_tensorrt_has_time_to_make_its_engine(gpu: bool, seconds: float, tmp_path: Path) -> None:
    host = HostSettings(gpu=gpu)
    pointer = tmp_path / "served.json"
    rollout = Rollout(["127.0.0.1:1"], tmp_path, tmp_path, pointer, traffic=TRAFFIC, host=host)
    assert rollout._fleet.controls[0].load_seconds == seconds
    rollout.close()


def test_half_an_engine_is_made_anew_instead_of_refusing_the_version(
    own: TritonServer, models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT is not here: a load fails as with it, for as long as that file is there."""
    engine = tmp_path / "engines" / "2.60.0-0123" / "TRTKernel_1_0_0_sm89.engine"
    engine.parent.mkdir(parents=True)
    engine.write_bytes(b"half")
    host = HOST.model_copy(update={"tensorrt_cache": str(tmp_path / "engines")})
    folders = (tmp_path / "repository", tmp_path / "fetched", tmp_path / "served.json")
    rollout = Rollout([own.grpc_url], *folders, traffic=TRAFFIC, host=host)
    (control,) = rollout._fleet.controls
    load = control.load

    def load_by_tensorrt(graphs: Collection[str]) -> None:
        if engine.exists():
            why = f"TensorRT EP could not deserialize engine from cache: {engine};"
            raise NotReadyError(f"Triton cannot load the model: onnx runtime error 11: {why}")
        load(graphs)

    monkeypatch.setattr(control, "load", load_by_tensorrt)
    rollout.step(lineup(models, 3))
    rollout.close()
    assert read_pointer(tmp_path / "served.json").production.version == 3
    assert not engine.exists()


def deadly(folder: Path, repository: Path, version: int) -> Path:
    """`export_version`, but version 4 kills the Triton that loads it, as a lack of memory would."""
    exported = export.export_version(folder, repository, version)
    if version == 4:
        kill = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
        (exported / "model.py").write_text(kill)
    return exported


@pytest.fixture
def own(tmp_path: Path) -> Iterator[TritonServer]:
    """A Triton that the rollout starts anew."""
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
    server = own if ours else None
    rollout = Rollout([own.grpc_url], *folders, traffic=TRAFFIC, host=HOST, server=server)

    def step(version: int) -> None:
        if not ours and not own.running:  # somebody else does that
            own.stop(grace=0)
            own.start()
        with suppress(NotReadyError):
            rollout.step(lineup(models, version))

    def comes_back(wanted: int) -> bool:
        step(wanted)
        return answers(own, models[3], 3)

    try:
        step(3)
        monkeypatch.setattr("serving.supervisor.version_files.export_version", deadly)
        before = own.pid
        step(4)
        assert wait_until(lambda: not own.running or own.pid != before, 5)
        assert wait_until(lambda: comes_back(3), 60), "it was rolled back"
        assert wait_until(lambda: comes_back(4) and bool(read_pointer(pointer).refused), 60)
        assert "ended 2 times" in read_pointer(pointer).refused[4]
        assert read_pointer(pointer).production.version == 3
        assert own.control.versions() == [3]
    finally:
        rollout.close()


@pytest.mark.parametrize("ours", [True, False])
def test_a_version_on_trial_that_fails_twice_takes_no_more_traffic(
    ours: bool, own: TritonServer, models: dict[int, Path], tmp_path: Path
) -> None:
    pointer = tmp_path / "served.json"
    folders = (tmp_path / "repository", tmp_path / "fetched", pointer)
    server = own if ours else None
    rollout = Rollout([own.grpc_url], *folders, traffic=TRAFFIC, host=HOST, server=server)
    both = Lineup({"production": Served(3, models[3]), "staging": Served(4, models[4])})
    try:
        rollout.step(lineup(models, 3))
        for times in (1, 2):
            rollout.step(both)
            (process,) = (p for p in stubs(own) if "/moodline/4/" in " ".join(p.cmdline()))
            process.kill()
            rollout.step(both)
            assert answers(own, models[3], 3)
            assert answers(own, models[4], 4) == (times == 1)
        assert "real question, 2 times" in read_pointer(pointer).refused[4]
        assert read_pointer(pointer).staging is None
        rollout.step(both)
        assert own.control.versions() == [3]
    finally:
        rollout.close()


def test_production_is_not_refused_for_failing(
    own: TritonServer, models: dict[int, Path], tmp_path: Path
) -> None:
    folders = (tmp_path / "repository", tmp_path / "fetched", tmp_path / "served.json")
    rollout = Rollout([own.grpc_url], *folders, traffic=TRAFFIC, host=HOST, server=own)
    both = Lineup({"production": Served(3, models[3]), "candidate": Served(4, models[4])})
    try:
        rollout.step(both)
        for _ in range(3):  # with the candidate, which is not to blame then
            for process in stubs(own):
                process.kill()
            rollout.step(both)
            assert answers(own, models[3], 3) and answers(own, models[4], 4)
        assert read_pointer(tmp_path / "served.json").refused == {}
    finally:
        rollout.close()


def test_a_version_on_trial_is_not_refused_for_the_end_of_the_server(
    own: TritonServer, models: dict[int, Path], tmp_path: Path
) -> None:
    folders = (tmp_path / "repository", tmp_path / "fetched", tmp_path / "served.json")
    rollout = Rollout([own.grpc_url], *folders, traffic=TRAFFIC, host=HOST, server=own)
    both = Lineup({"production": Served(3, models[3]), "candidate": Served(4, models[4])})
    try:
        rollout.step(both)
        for _ in range(2):
            psutil.Process(own.pid).kill()
            assert wait_until(lambda: not own.running, 5)
            rollout.step(both)
        assert read_pointer(tmp_path / "served.json").refused == {}
        assert answers(own, models[4], 4)
    finally:
        rollout.close()


@pytest.mark.parametrize("role", ["production", "candidate"])
def test_production_that_fails_during_a_load_is_charged_to_a_version_on_trial_only(
    role: Role,
    own: TritonServer,
    models: dict[int, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = (tmp_path / "repository", tmp_path / "fetched", tmp_path / "served.json")
    rollout = Rollout([own.grpc_url], *folders, traffic=TRAFFIC, host=HOST, server=own)
    desired = Lineup({"production": Served(3, models[3]), role: Served(4, models[4])})
    (control,) = rollout._fleet.controls
    load = control.load

    def load_while_production_dies(graphs: Collection[str]) -> None:
        for process in stubs(own):
            process.kill()
        load(graphs)

    try:
        rollout.step(lineup(models, 3))
        monkeypatch.setattr("serving.supervisor.version_files.export_version", slow_to_load)
        for _ in range(2):
            monkeypatch.setattr(control, "load", load_while_production_dies)
            with suppress(NotReadyError):
                rollout._serve(desired)
            monkeypatch.setattr(control, "load", load)
            rollout.step(lineup(models, 3))
            assert answers(own, models[3], 3)
        rollout.step(desired)
        pointer = read_pointer(tmp_path / "served.json")
        if role == "production":
            assert (pointer.production.version, pointer.refused) == (4, {})
        else:
            assert pointer.refused == {4: "production failed 2 times while it loaded"}
    finally:
        rollout.close()


def test_a_failure_is_forgiven_once_the_version_has_answered_well_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = RolloutVersion(State.SERVING)
    assert not version.count_failure()
    version.note_good_answer()
    assert version.failures == 1
    monkeypatch.setattr("serving.supervisor.states.FORGIVE_SECONDS", 0.0)
    version.note_good_answer()
    assert not version.count_failure()


def test_a_question_without_an_answer_and_without_statistics_is_no_failure(
    models: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(["127.0.0.1:1"], None, HOST)
    (control,) = fleet.controls  # nobody answers its question about the statistics

    def late(*_: Any, **__: Any) -> float:
        raise TritonLateError("no answer within 5 s")

    monkeypatch.setattr(control, "check", late)
    assert fleet.failure(control, 3, read_golden(models[3])) == ""
    fleet.close()
