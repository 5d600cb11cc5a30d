"""The registry where a team keeps it: MLflow on a real PostgreSQL, files in a simulated S3."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from components.base import Refused, Unavailable, tree_digest
from components.config import Settings
from components.drift import Reference
from components.register import (
    Lineage,
    alias_version,
    download,
    history,
    list_versions,
    promote,
    prune,
    register,
    rollback,
    show,
)
from components.traffic import TurnLog
from pipelines.cli.main import run
from tests.components.drift.made_up import to_log, to_version, traffic
from tests.components.register.crowd import check_twenty_at_once, twenty_versions
from tests.components.register.stores import (
    MlflowServer,
    SimulatedS3,
    answers,
    free_port,
    wait_until,
)

pytestmark = pytest.mark.servers

Add = Callable[..., int]
TURNS = pd.DataFrame({"audio": [[0.0, 0.5]], "text": ["fine"]})


@pytest.fixture(scope="module")
def server(
    database: Callable[[str], str], s3: SimulatedS3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """`mlflow server` on PostgreSQL and the S3 simulator."""
    folder = tmp_path_factory.mktemp("server")
    server = MlflowServer(folder, database("served"), "s3://moodline/served", s3.environment)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def test_postgresql_and_a_simulated_s3_without_a_server(
    database: Callable[[str], str],
    s3: SimulatedS3,
    tmp_path: Path,
    add_version: Add,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow

    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MOODLINE_MLFLOW_URI", database("direct"))
    monkeypatch.setenv("MOODLINE_MLFLOW_ARTIFACTS", "s3://moodline/direct")
    settings = Settings()
    one, two = add_version(settings), add_version(settings)
    promote(one, settings, actor="ann")
    promote(two, settings, actor="ann", reason="better")
    assert sum(key.endswith("model.onnx") for key in s3.names() if "direct/" in key) == 2
    assert tree_digest(download(one, tmp_path / "model", settings)) == show(one, settings).digest
    mlflow.set_tracking_uri(settings.mlflow_uri)
    loaded = mlflow.pyfunc.load_model("models:/moodline@production")
    assert sum(loaded.predict(TURNS)["probabilities"][0]) == pytest.approx(1)
    assert rollback(settings, actor="ann").to_version == one
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["signing"]

    # The store of the files goes away: one line, and nothing half-registered.
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for ask in (add_version, lambda s: promote(two, s, actor="ann")):
        with pytest.raises(Unavailable, match="Could not connect to the endpoint URL") as caught:
            ask(settings)
        assert "\n" not in str(caught.value)
    assert [version.number for version in list_versions(settings)] == [two, one]
    assert alias_version("production", settings) == one


def test_the_registry_on_a_server(
    server: MlflowServer, s3: SimulatedS3, tmp_path: Path, add_version: Add
) -> None:
    import mlflow

    settings = Settings(home=tmp_path / "home", mlflow_uri=server.url)
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
    entries = history(settings)
    assert sorted(e.to_version or 0 for e in entries) == versions
    assert all(entry.won == won[entry.to_version or 0] for entry in entries[1:])
    production = next(e.to_version for e in reversed(entries) if e.won)
    assert production is not None
    assert "production" in show(production, settings).aliases

    folder = download("production", tmp_path / "model", settings)
    assert tree_digest(folder) == show(production, settings).digest
    mlflow.set_tracking_uri(server.url)
    loaded = mlflow.pyfunc.load_model("models:/moodline@production")
    assert sum(loaded.predict(TURNS)["probabilities"][0]) == pytest.approx(1)
    back = rollback(settings, actor="ann", reason="test")
    assert back.from_version == production
    assert sum(key.endswith("model.onnx") for key in s3.names() if "served/" in key) == 6
    # What nobody needs goes through the server, which alone reaches the store of the files.
    gone = prune(settings, days=0, keep=2)
    won_in_order = [entry.to_version for entry in entries if entry.won]
    # The two last of the history, what the last changes name, and the newest.
    assert set(gone) == set(versions) - {*won_in_order[-3:], 6}
    left = [key for key in s3.names() if "served/" in key]
    for name in ("model.onnx", "artifacts/report.html"):
        assert sum(key.endswith(f"/{name}") for key in left) == 6 - len(gone)
    assert {p.name for p in (tmp_path / "home").glob("*")} == {"signing"}


def test_drift_is_held_against_the_version_in_production(
    server: MlflowServer,
    tmp_path: Path,
    lineage: Lineage,
    make_model: Callable[..., Path],
    make_evidence: Callable[..., dict[str, Path]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`moodline drift` fetches its reference from the server, and looks at its answers alone."""
    settings = Settings(home=tmp_path / "home", mlflow_uri=server.url)
    every = traffic(40, seed=0)
    held = every.where(np.arange(len(every)) >= 20 * 14)
    model = to_version(make_model(tmp_path / "made", 7), Reference(every, held))
    evidence = make_evidence(tmp_path / "papers", model)
    number = register(model, **evidence, lineage=lineage, settings=settings)
    promote(number, settings, actor="ann")
    log = TurnLog(settings.log, settings.feedback_url)
    for snr, version in ((15.0, number), (30.0, number + 1)):
        to_log(log, traffic(36, 1, snr=snr), datetime.now(UTC), version)
    log.close()

    monkeypatch.setenv("MOODLINE_HOME", str(settings.home))
    monkeypatch.setenv("MOODLINE_MLFLOW_URI", server.url)
    capfd.readouterr()
    assert run(["drift", "--json", "--prom", str(tmp_path / "drift.prom")]) == 1
    printed = json.loads(capfd.readouterr().out)
    assert (printed["version"], printed["turns"], printed["drifted"]) == (
        number,
        36 * 14,
        ["snr_db"],
    )
    gauge = f'moodline_version_registered_timestamp_seconds{{version="{number}"}} '
    lines = (tmp_path / "drift.prom").read_text().splitlines()
    (since,) = (float(line.removeprefix(gauge)) for line in lines if line.startswith(gauge))
    assert since == pytest.approx(show(number, settings).created.timestamp())


def test_twenty_promotions_at_once_through_a_server(
    database: Callable[[str], str], s3: SimulatedS3, tmp_path: Path, add_version: Add
) -> None:
    """Over HTTP, to two processes of MLflow on one PostgreSQL."""
    server = MlflowServer(tmp_path, database("crowd"), "s3://moodline/crowd", s3.environment)
    try:
        server.start()
        settings = Settings(home=tmp_path / "home", mlflow_uri=server.url)
        check_twenty_at_once(settings, twenty_versions(settings, add_version))
    finally:
        server.kill()


def test_mlflow_serves_the_version_in_production(
    server: MlflowServer, tmp_path: Path, add_version: Add
) -> None:
    """`mlflow models serve`, which knows nothing of Moodline."""
    settings = Settings(home=tmp_path / "home", mlflow_uri=server.url)
    promote(add_version(settings), settings, actor="ann")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["--model-uri", "models:/moodline@production", "--host", "127.0.0.1"]
    command += ["--port", str(port)]
    log = tmp_path / "log"
    # uvicorn is started by its name.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"MLFLOW_TRACKING_URI": server.url, "PATH": path}
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=environment, start_new_session=True
        )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"), process, log)
        answer = httpx.post(
            f"http://127.0.0.1:{port}/invocations",
            json={"dataframe_split": {"columns": ["audio", "text"], "data": [[[0.0, 0.5], "a"]]}},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        (turn,) = answer.json()["predictions"]
        assert turn["emotion"] in ("angry", "happy", "neutral", "sad")
        assert sum(turn["probabilities"]) == pytest.approx(1)
        wrong = httpx.post(
            f"http://127.0.0.1:{port}/invocations",
            json={"dataframe_split": {"columns": ["audio"], "data": [[[0.0]]]}},
            timeout=60,
        )
        assert wrong.status_code == 400
    finally:
        os.killpg(process.pid, 9)
        process.wait(30)


def test_a_server_that_dies_in_the_middle_leaves_no_half_version(
    server: MlflowServer, tmp_path: Path, add_version: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the run stands and the model is uploaded, before there is a version."""
    from mlflow import MlflowClient

    settings = Settings(home=tmp_path / "home", mlflow_uri=server.url)
    before, entries = list_versions(settings), history(settings)
    finalize = MlflowClient.finalize_logged_model

    def die_first(client: MlflowClient, *arguments: object) -> object:
        server.kill()
        return finalize(client, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "finalize_logged_model", die_first)
        with pytest.raises(Unavailable, match=f"MLflow at {server.url}") as caught:
            add_version(settings)
    assert "\n" not in str(caught.value)
    for ask in (list_versions, history, lambda s: promote(1, s, actor="ann"), add_version):
        with pytest.raises(Unavailable, match=f"MLflow at {server.url}: does not answer") as away:
            ask(settings)
        assert "\n" not in str(away.value)

    server.start()
    assert (list_versions(settings), history(settings)) == (before, entries)
    assert add_version(settings) == before[0].number + 1
