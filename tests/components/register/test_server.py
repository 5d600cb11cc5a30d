"""The registry on a real MLflow server, and without it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pandas as pd
import pytest

from components.profile import Settings, tree_digest
from components.register import (
    Refused,
    RegistryError,
    download,
    history,
    list_versions,
    promote,
    rollback,
    show,
)

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen]]:
    """`mlflow server` on loopback, serving artifacts too; and its process."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while not _answers(url):
            assert process.poll() is None and time.monotonic() < deadline, (
                folder / "log"
            ).read_text()
            time.sleep(0.5)
        yield url, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_registry_on_a_server(
    server: tuple[str, subprocess.Popen], tmp_path: Path, add_version: Callable[..., int]
) -> None:
    import mlflow

    url, process = server
    settings = Settings(home=tmp_path / "home", mlflow_uri=url)
    versions = [add_version(settings) for _ in range(6)]
    assert versions == [1, 2, 3, 4, 5, 6]
    promote(1, settings, actor="ann")

    def attempt(version: int) -> bool:
        try:
            return promote(version, settings, actor="bob").to_version == version
        except Refused:
            return False

    with ThreadPoolExecutor(5) as pool:
        won = dict(zip(versions[1:], pool.map(attempt, versions[1:]), strict=True))
    told = history(settings)
    assert sorted(e.to_version for e in told) == versions
    assert all(entry.won == won[entry.to_version] for entry in told[1:])
    production = next(e.to_version for e in reversed(told) if e.won)
    assert "production" in show(production, settings).aliases

    folder = download("production", tmp_path / "model", settings)
    assert tree_digest(folder) == show(production, settings).digest
    mlflow.set_tracking_uri(url)
    loaded = mlflow.pyfunc.load_model("models:/moodline@production")
    answer = loaded.predict(pd.DataFrame({"audio": [[0.0, 0.5]], "text": ["fine"]}))
    assert sum(answer["probabilities"][0]) == pytest.approx(1)
    back = rollback(settings, actor="ann", reason="test")
    assert back.from_version == production
    assert {p.name for p in (tmp_path / "home").glob("*")} == set()

    # And now it goes away: in the last test, since it does not come back.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    began = time.monotonic()
    for ask in (list_versions, history, lambda s: promote(1, s, actor="ann"), add_version):
        with pytest.raises(RegistryError, match=f"MLflow at {url}: does not answer") as caught:
            ask(settings)
        assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 30
