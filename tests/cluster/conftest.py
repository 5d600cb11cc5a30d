"""A cluster on one machine for all tests here: object store, MLflow, a volume, the backend."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from components.config import Profile, load_profile
from components.register.keys import PRIVATE, make_key
from pipelines.definitions.compiled import compile_pipeline
from serving.processes import free_ports
from tests.cluster.backend import Backend, Run
from tests.cluster.forward import Service
from tests.cluster.launcher import Launcher
from tests.cluster.objects import ObjectStore
from tests.cluster.pods import USER, Namespaces
from tests.components.register.stores import BUCKET, MlflowServer, simulated_s3

MLFLOW = "mlflow.moodline"
POSTGRES = "postgres"
TRITON = "triton-engines.moodline"
"""Nobody listens there until a test does."""

STORE = "store"  # with a point in it moto takes the first part for a bucket
CLAIM, MOUNT = "moodline", "/moodline"
MODELS = "/opt/moodline/models"
VOLUME = {"claim": CLAIM, "mount": MOUNT}


@dataclass
class Cluster:
    """A cluster.

    Attributes:
        folder: where it lies on this machine.
        backend: Kubeflow Pipelines.
        store: a bucket in a simulated S3: KFP's, MLflow's, and that of the corpora.
        mlflow: its server, whose artifacts lie in the same store.
        services: what the pods reach.
        volume: an empty one, of the claim `moodline`, owned by the pods' user.
        database: makes an empty database in a PostgreSQL, and gives its address from outside.
    """

    folder: Path
    backend: Backend
    store: ObjectStore
    mlflow: MlflowServer
    services: dict[str, Service]
    volume: Path
    database: Callable[[str], str]

    def profile(self, **cluster: Any) -> Profile:
        """The demo's profile for this cluster: where its servers are, and no volume."""
        secrets = self.backend.secrets.items()
        settings = {
            "secrets": [{"name": n, "env": {key: key for key in keys}} for n, keys in secrets],
            "env": {
                "MOODLINE_MLFLOW_URI": f"http://{MLFLOW}:5000",
                "AWS_ENDPOINT_URL_S3": f"http://{STORE}:9000",
                "MOODLINE_MODELS": MODELS,
                "HF_HUB_OFFLINE": "1",
                "TRANSFORMERS_OFFLINE": "1",
            },
        }
        demo = load_profile("tiny").model_dump(mode="json")
        return Profile.model_validate(demo | {"cluster": settings | cluster})

    @contextmanager
    def volume_of_somebody_else(self) -> Iterator[None]:
        """As it is where nobody gave the volume to the pods' user."""
        if os.geteuid() == 0:
            os.chown(self.volume, 0, 0)
        else:  # who cannot give it to another can close it
            self.volume.chmod(0o555)
        try:
            yield
        finally:
            self.volume.chmod(0o755)
            give(self.volume)

    def run(self, pipeline: str, profile: Profile, **arguments: Any) -> Run:
        """Compile a pipeline and run it to its end."""
        path = self.folder / f"{pipeline.replace(':', '.')}.yaml"
        compile_pipeline(pipeline, profile, path)
        return self.backend.run(path, arguments)


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, models_home: Path, database: Callable[[str], str]
) -> Iterator[Cluster]:
    """An empty cluster; the prepared speech models are in its images."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # of the simulator, a line a request
    # pytest's folders are closed to other users.
    with tempfile.TemporaryDirectory(prefix="moodline-cluster-") as name, simulated_s3() as s3:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "services").mkdir()
        volume = folder / "volume"
        volume.mkdir()
        give(volume)
        # The names of both servers, as the pods have them, besides those that MLflow allows itself.
        names = {"MLFLOW_SERVER_ALLOWED_HOSTS": f"{MLFLOW}:5000,127.0.0.1:*"}
        runs = f"sqlite:///{folder / 'mlflow.db'}"
        mlflow = MlflowServer(folder, runs, f"s3://{BUCKET}/mlflow", {**s3.environment, **names})
        mlflow.start()
        address = urlsplit(s3.environment["MLFLOW_S3_ENDPOINT_URL"])
        postgres = Path(database("bench").partition("host=")[2], ".s.PGSQL.5432")
        servers: dict[str, tuple[str, int, tuple[str, int] | Path]] = {
            "mlflow": (MLFLOW, 5000, ("127.0.0.1", mlflow.port)),
            "store": (STORE, 9000, ("127.0.0.1", address.port or 0)),
            "postgres": (POSTGRES, 5432, postgres),
            "triton": (TRITON, 8001, ("127.0.0.1", free_ports(1)[0])),
        }
        services = {
            name: Service(host, port, real, folder / "services")
            for name, (host, port, real) in servers.items()
        }
        store = ObjectStore(s3.environment, BUCKET)
        image = {MODELS: models_home.resolve()}
        pods = Namespaces(folder / "pods", list(services.values()), image)
        pods.check()
        launcher = Launcher(store, pods, folder / "scratch")
        make_key(folder / "signing")
        signing = {"MOODLINE_SIGNING_KEY": (folder / "signing" / PRIVATE).read_text()}
        keys = {n: v for n, v in s3.environment.items() if n.startswith("AWS_")}
        backend = Backend(launcher, {CLAIM: volume}, {"store": keys, "signing": signing})
        try:
            yield Cluster(folder, backend, store, mlflow, services, volume, database)
        finally:
            mlflow.kill()
            for service in services.values():
                service.close()


def give(folder: Path) -> None:
    """Make the pods' user the owner of all in a folder, as `fsGroup` or an administrator does."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)
