"""The step `engines` in a pod: it reaches the Triton that is named, and nothing else."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.config import Settings
from serving.triton.environment import TritonEnvironment
from serving.triton.server import TritonServer
from tests.cluster.backend import Run
from tests.cluster.conftest import TRITON, Cluster, give
from tests.cluster.forward import forward
from tests.serving.conftest import tiny_model
from tests.serving.steered import wrong

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

MAKERS = {"tritons": [f"{TRITON}:8001"], "tensorrt": False}


@contextmanager
def a_triton(cluster: Cluster, folder: Path) -> Iterator[None]:
    """One without models and without a GPU, at the address that the profile names."""
    environment = TritonEnvironment(Settings().triton_env.resolve())
    with TritonServer(environment, folder / "empty", folder / "log") as server:
        path = server.grpc_url.removeprefix("unix:")

        def connect() -> socket.socket:
            inside = socket.socket(socket.AF_UNIX)
            inside.connect(path)
            return inside

        with socket.create_server(cluster.services["triton"].server) as listener:
            forward(listener, connect)
            yield


@pytest.fixture
def model(cluster: Cluster) -> Iterator[Path]:
    """On the volume, as the pods' user sees it."""
    folder = tiny_model(cluster.volume / "model", 3)
    give(cluster.volume)
    yield folder
    shutil.rmtree(folder)


def proven(cluster: Cluster) -> Run:
    return cluster.run("tests.cluster.toys:proof", cluster.profile(engines=MAKERS))


def test_a_version_is_proven_by_a_triton_or_the_run_fails(
    cluster: Cluster, model: Path, tmp_path: Path
) -> None:
    away = proven(cluster)
    assert away.failed == "engines"
    line = f"the Triton at {TRITON}:8001, which makes engines, does not answer"
    assert away.log("engines").splitlines()[-1].endswith(line)
    with a_triton(cluster, tmp_path):
        run = proven(cluster)
        assert not run.failed, run.log(run.failed)
        (made,) = (e for e in run.executions if e.task == "engines")
        (metrics,) = made.artifacts["metrics"]
        assert metrics["metadata"]["golden_difference"] <= 1e-4
        wrong(model)
        give(cluster.volume)
        refused = proven(cluster)
    assert refused.failed == "engines"
    assert "is off its golden answers by" in refused.log("engines").splitlines()[-1]
