"""One retraining in containers for all tests here, and containers that go with the test."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory, models_home: Path) -> dict[str, Any]:
    """What `moodline retrain --runner docker` says of the demo corpus."""
    home = tmp_path_factory.mktemp("home")
    environment = {"MOODLINE_HOME": str(home), "MOODLINE_MODELS": str(models_home.resolve())}
    done = subprocess.run(
        [Path(sys.executable).with_name("moodline"), "retrain", "--runner", "docker",
         "--promote", "--json"],
        env=os.environ | environment, capture_output=True, text=True, check=False, cwd=home,
    )  # fmt: skip
    sys.stderr.write(done.stderr)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout) | {"home": home}


@pytest.fixture
def run_container() -> Iterator[Callable[..., Container]]:
    """Starts containers on a network of their own; they and it are gone afterwards."""
    client = docker.from_env()
    network = client.networks.create(f"moodline-test-{os.getpid()}")
    started: list[Container] = []

    def start(image: str, name: str, **options: Any) -> Container:
        container = client.containers.create(image, **options, network=network.name)
        started.append(container)
        network.disconnect(container)
        network.connect(container, aliases=[name])
        container.start()
        return container

    try:
        yield start
    finally:
        for container in started:
            container.remove(force=True, v=True)
        network.remove()


def address(container: Container) -> str:
    """Where its port 3000 can be asked."""
    container.reload()
    (binding,) = container.ports["3000/tcp"]
    return f"http://127.0.0.1:{binding['HostPort']}"


def health(container: Container) -> str:
    """What its HEALTHCHECK says."""
    container.reload()
    assert container.status == "running", container.logs().decode()[-3000:]
    return str(container.attrs["State"]["Health"]["Status"])
