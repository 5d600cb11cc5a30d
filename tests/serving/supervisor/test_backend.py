"""Triton under load, followed, watched and killed: real versions in a real registry."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from prometheus_client import REGISTRY
from safetensors.numpy import load_file, save_file

from components.config import Settings
from components.register import history, promote, rollback
from serving.lineup import read_pointer
from serving.settings import TrafficSettings
from serving.supervisor.backend import Backend, pointer_path
from tests.serving.load import Alone, Load, wait_until
from tests.serving.steered import HOST
from tests.serving.versions import add, as_version

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

TRAFFIC = TrafficSettings(
    follow_seconds=0.2,
    watch_seconds=0.3,
    grace_seconds=0.5,
    canary_share=0.5,
    canary_requests=20,
    shadow_share=0.3,
)
BACK = 15.0


@dataclass
class Served:
    """A backend that follows a registry."""

    backend: Backend
    settings: Settings
    pointer: Path
    folders: dict[int, Path]
    alone: Alone
    url: str

    def load(self, traffic: TrafficSettings | None = None) -> Load:
        return Load(self.url, self.pointer, self.folders, self.alone, traffic=traffic)

    def family(self, name: str) -> list[psutil.Process]:
        assert self.backend.server and self.backend.server.pid
        top = psutil.Process(self.backend.server.pid)
        return [p for p in [top, *top.children(recursive=True)] if name in p.name()]

    def production(self) -> int:
        return read_pointer(self.pointer).production.version


@pytest.fixture(scope="module")
def served(
    make_model: Callable[[Path, int], Path],
    alone: Alone,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("backend")
    settings = Settings(home=root / "home", triton_env=Settings().triton_env.resolve())
    folders = {}
    for seed in (1, 2):
        folder = as_version(make_model(root / f"model-{seed}", seed))
        folders[add(folder, settings)] = folder
    assert list(folders) == [1, 2]
    promote(1, settings, actor="a test")
    pointer = pointer_path(settings, 1)
    log = root / "tritonserver.log"
    backend = Backend(settings, pointer, traffic=TRAFFIC, host=HOST, log=log)
    try:
        url = backend.start()
        assert backend.serve().version == 1
        assert wait_until(lambda: read_pointer(pointer).candidate is not None, 60)
        yield Served(backend, settings, pointer, folders, alone, url)
    finally:
        backend.stop()


def test_a_killed_model_process_comes_back_by_itself(served: Served) -> None:
    with served.load() as load:
        for process in served.family("stub"):
            process.kill()
        assert wait_until(lambda: load.seen.failed.total() > 0, 5)
        assert load.until_answered_again(BACK)
    assert load.seen.wrong == 0
    assert set(load.seen.failed) <= {503, 429}
    assert wait_until(lambda: read_pointer(served.pointer).revivals > 0, 5)


def test_a_killed_tritonserver_comes_back_by_itself(served: Served) -> None:
    with served.load() as load:
        assert served.backend.server and served.backend.server.pid
        before = served.backend.server.pid
        os.kill(before, signal.SIGKILL)
        assert wait_until(lambda: load.seen.failed.total() > 0, 5)
        assert load.until_answered_again(BACK)
        assert served.backend.server.pid != before
    assert load.seen.wrong == 0
    assert set(load.seen.failed) <= {503, 429}


def test_the_candidate_is_asked_and_never_answers(served: Served) -> None:
    def compared(outcome: str) -> float:
        labels = {"outcome": outcome, "version": "2"}
        return REGISTRY.get_sample_value("moodline_shadow_total", labels) or 0.0

    before = {outcome: compared(outcome) for outcome in ("same", "other", "failed")}
    with served.load(TRAFFIC.model_copy(update={"shadow_share": 1.0})) as load:
        assert wait_until(lambda: compared("same") + compared("other") > 20, 60)
    assert set(load.seen.answered) == {1}
    assert load.seen.wrong == 0 and not load.seen.failed
    assert compared("failed") == before["failed"]
    assert compared("other") > before["other"], "these two models do not agree on everything"


def test_promotions_and_rollbacks_under_load_fail_no_request(served: Served) -> None:
    with served.load() as load:

        def answers(version: int) -> bool:
            before = load.seen.answered[version]
            return wait_until(lambda: load.seen.answered[version] > before, 60)

        for number in range(10):
            promote(2, served.settings, actor="a test")
            assert wait_until(lambda: served.production() == 2, 60), number
            assert answers(2)
            rollback(served.settings, actor="a test")
            assert wait_until(lambda: served.production() == 1, 60), number
            assert answers(1)
    assert not load.seen.failed
    assert load.seen.wrong == 0


def test_a_version_that_fails_its_check_takes_no_traffic(
    served: Served, make_model: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    folder = as_version(make_model(tmp_path / "off", 3))
    golden = load_file(folder / "golden.safetensors")
    golden["probabilities"] = golden["probabilities"][::-1].copy()
    save_file(golden, folder / "golden.safetensors")
    version = add(folder, served.settings)
    with served.load() as load:
        promote(version, served.settings, actor="a test")
        assert wait_until(lambda: version in read_pointer(served.pointer).refused, 60)
        assert "off its golden" in read_pointer(served.pointer).refused[version]
        time.sleep(0.5)
        rollback(served.settings, actor="a test")
    assert not load.seen.failed
    assert set(load.seen.answered) == {1}


def test_a_canary_that_fails_is_rolled_back_by_itself(
    served: Served, make_model: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    import onnx

    folder = as_version(make_model(tmp_path / "narrow", 4))
    # It knows its golden clips' tokens, not the word "yes": no such row in its table.
    graph = onnx.load(folder / "model.onnx")
    table = next(t for t in graph.graph.initializer if t.name == "table")
    narrow = onnx.numpy_helper.to_array(table)[:5]
    table.CopyFrom(onnx.numpy_helper.from_array(narrow.copy(), "table"))
    onnx.save(graph, folder / "model.onnx")
    golden = load_file(folder / "golden.safetensors")
    for number in range(2):
        ids = golden[f"input_ids.{number}"] = np.array([0, 4, 1])
        golden["probabilities"][number] = served.alone(folder, golden[f"audio.{number}"], ids)[0]
    save_file(golden, folder / "golden.safetensors")
    version = add(folder, served.settings)
    served.folders[version] = folder
    with served.load(TRAFFIC) as load:
        promote(version, served.settings, actor="a test", to="staging")
        assert wait_until(lambda: history(served.settings)[-1].action == "rollback", 60)
        assert wait_until(lambda: read_pointer(served.pointer).staging is None, 60)
    last = history(served.settings)[-1]
    assert (last.stage, last.from_version, last.actor) == ("staging", version, "moodline serve")
    assert "canary" in last.reason and "failed" in last.reason
    assert not load.seen.failed, "production answers where the canary fails"
    assert load.seen.wrong == 0
    assert set(load.seen.answered) <= {1, version}
