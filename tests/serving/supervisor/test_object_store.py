"""Two copies of the service and Triton share an object store and a database, and no folder."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from components.base import InputError
from components.config import Settings
from components.register import promote
from serving.lineup import read_pointer
from serving.processes import free_ports
from serving.settings import ServeSettings, TrafficSettings
from serving.supervisor.backend import Backend, pointer_path
from serving.supervisor.leadership import lease_for
from serving.triton.control import TritonControl
from serving.triton.environment import TritonEnvironment
from tests.components.register.stores import BUCKET, simulated_s3
from tests.serving.load import Alone, Load, wait_until
from tests.serving.steered import HOST
from tests.serving.versions import add, as_version

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

STEER = """
import json, sys, time
from pathlib import Path
from tests.serving.supervisor.test_object_store import copy
backend, _ = copy(Path(sys.argv[1]), *json.loads(sys.argv[2]))
backend.serve()
time.sleep(100)
"""


@contextmanager
def triton_on_s3(environment: dict[str, str], log: Path) -> Iterator[str]:
    """A Triton that reads its repository from the store itself; the address of its gRPC."""
    files = TritonEnvironment(Settings().triton_env.resolve())
    (port,) = free_ports(1, "127.0.0.1")
    credentials = {name: value for name, value in environment.items() if name.startswith("AWS")}
    command = [
        str(files.server),
        f"--model-repository=s3://{environment['MLFLOW_S3_ENDPOINT_URL']}/{BUCKET}/models",
        f"--backend-directory={files.backends}",
        "--model-control-mode=explicit", "--strict-readiness=false", "--allow-http=false",
        "--allow-metrics=false", "--grpc-address=127.0.0.1", f"--grpc-port={port}",
    ]  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env={**files.variables(), **credentials}, stdout=output, stderr=output
        )
        try:
            control = TritonControl(f"127.0.0.1:{port}")
            assert wait_until(control.alive, 60), log.read_text()
            control.close()
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def copy(home: Path, registry: str, database: str, triton: str) -> tuple[Backend, Settings]:
    """What steers the Tritons in one `moodline serve`, started; its home is its own."""
    settings = Settings(
        home=home,
        mlflow_uri=f"sqlite:///{registry}/mlflow.db",
        mlflow_artifacts=f"{registry}/artifacts",
        trusted_keys=os.environ.get("MOODLINE_TRUSTED_KEYS", ""),
        model_repository=f"s3://{BUCKET}/models",
        triton_url=triton,
    )
    serve = ServeSettings(store=database)
    pointer = pointer_path(settings, 3000)
    backend = Backend(
        settings,
        pointer,
        traffic=TrafficSettings(follow_seconds=0.2, watch_seconds=0.3, grace_seconds=4),
        host=HOST,
        wait=True,
        lease=lambda: lease_for(serve, pointer, settings.model_repository_store),
    )
    backend.start()
    return backend, settings


@pytest.mark.cluster
def test_they_serve_the_same_and_another_steers_when_one_is_killed(
    make_model: Callable[[Path, int], Path],
    alone: Alone,
    database: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from components.register import public_key

    made = Settings(
        home=tmp_path / "maker",
        mlflow_uri=f"sqlite:///{tmp_path}/mlflow.db",
        mlflow_artifacts=f"{tmp_path}/artifacts",
    )
    folders = {seed: as_version(make_model(tmp_path / str(seed), seed)) for seed in (1, 2, 3)}
    assert [add(folder, made) for folder in folders.values()] == [1, 2, 3]
    promote(1, made, actor="a test")
    monkeypatch.setenv("MOODLINE_TRUSTED_KEYS", public_key(made))
    with simulated_s3() as simulator:
        for name, value in simulator.environment.items():
            monkeypatch.setenv(name, value)
        place = f"s3://{BUCKET}/models"
        awaited = subprocess.Popen([sys.executable, "-m", "serving.triton.repository_store", place])
        (port,) = free_ports(1, "127.0.0.1")
        store = database("two_copies")
        early, _ = copy(tmp_path / "early", str(tmp_path), store, f"127.0.0.1:{port}")
        early.stop()
        assert awaited.wait(20) == 0
        with triton_on_s3(simulator.environment, tmp_path / "log") as triton:
            shared = (str(tmp_path), store, triton)
            told = json.dumps(shared)
            first = subprocess.Popen([sys.executable, "-c", STEER, str(tmp_path / "first"), told])
            second = None
            try:
                assert wait_until(lambda: "models/served.json" in _names(), 60)
                second, settings = copy(tmp_path / "second", *shared)
                pointers = [tmp_path / n / "serving/served-3000.json" for n in ("first", "second")]

                def serve(version: int) -> bool:
                    return all(
                        p.exists() and read_pointer(p).production.version == version
                        for p in pointers
                    )

                second.serve()
                assert wait_until(lambda: serve(1), 60)
                with Load(triton, pointers[1], folders, alone) as load:
                    promote(2, made, actor="a test")
                    assert wait_until(lambda: serve(2), 60)
                    assert wait_until(lambda: load.seen.answered[2] > 20, 60)
                    first.kill()
                    pointers = pointers[1:]
                    promote(3, made, actor="a test")
                    assert wait_until(lambda: serve(3), 60), "the other one steers now"
                    assert wait_until(lambda: load.seen.answered[3] > 20, 60)
            finally:
                first.kill()
                first.wait()
                if second:
                    second.stop()
        assert not load.seen.failed
        assert load.seen.wrong == 0
        assert load.seen.answered[1] and load.seen.answered[2]
        shared_text = _client().get_object(Bucket=BUCKET, Key="models/served.json")["Body"].read()
        assert json.loads(shared_text)["production"]["version"] == 3
        assert read_pointer(pointers[0]).production.folder == (
            settings.home.resolve() / "serving" / "models" / "3"
        ), "each copy reads its own"


def test_a_triton_of_its_own_reads_no_store(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, model_repository="s3://calls/models")
    pointer = pointer_path(settings, 3000)
    backend = Backend(settings, pointer, traffic=TrafficSettings(), host=HOST)
    with pytest.raises(InputError, match=r"^MOODLINE_MODEL_REPOSITORY=s3://calls/models: .*_URL$"):
        backend.start()
    backend.stop()


def _client() -> "boto3.client":
    return boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])


def _names() -> list[str]:
    found = _client().list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [item["Key"] for item in found]
