"""A Triton that loads by itself, or never: somebody else's, and not the version's fault."""

import subprocess
from pathlib import Path

import pytest

from components.config import Settings
from serving.errors import NotSteeredError
from serving.lineup import read_pointer
from serving.processes import free_ports
from serving.supervisor.rollout import Rollout
from serving.triton.control import TritonControl
from serving.triton.environment import TritonEnvironment
from tests.serving.load import wait_until
from tests.serving.steered import HOST, TRAFFIC, lineup

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


@pytest.mark.parametrize("mode", ["none", "poll"])
def test_no_version_is_refused_for_a_triton_that_cannot_be_steered(
    models: dict[int, Path], tmp_path: Path, mode: str
) -> None:
    files = TritonEnvironment(Settings().triton_env.resolve())
    repository, log = tmp_path / "repository", tmp_path / "log"
    repository.mkdir()
    (port,) = free_ports(1, "127.0.0.1")
    command = [
        str(files.server), f"--model-repository={repository}",
        f"--backend-directory={files.backends}", f"--model-control-mode={mode}",
        "--strict-readiness=false", "--allow-http=false", "--allow-metrics=false",
        "--grpc-address=127.0.0.1", f"--grpc-port={port}",
    ]  # fmt: skip
    url, pointer = f"127.0.0.1:{port}", tmp_path / "served.json"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=files.variables(), stdout=output, stderr=output)
    rollout = Rollout([url], repository, tmp_path / "fetched", pointer, traffic=TRAFFIC, host=HOST)
    try:
        control = TritonControl(url)
        assert wait_until(control.alive, 60), log.read_text()
        control.close()
        for _ in range(3):  # each step tries again: the version stays the one that is wanted
            with pytest.raises(NotSteeredError, match="--model-control-mode=explicit") as caught:
                rollout.step(lineup(models, 3))
            assert str(caught.value).startswith(f"{url}: ")
    finally:
        rollout.close()
        process.kill()
        process.wait()
    assert not pointer.exists() or not read_pointer(pointer).refused
