"""A cluster on one machine for all tests here: object store, MLflow, a volume, the backend."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.config import Profile, load_profile
from pipelines.definitions.compiled import compile_pipeline
from tests.cluster.backend import Backend, Run
from tests.cluster.forward import Service
from tests.cluster.launcher import Launcher
from tests.cluster.objects import ObjectStore
from tests.cluster.pods import USER, Namespaces
from tests.components.register.stores import BUCKET, MlflowServer, simulated_s3

MLFLOW = "mlflow.moodline"
CLAIM, MOUNT = "moodline", "/moodline"


@dataclass
class Cluster:
    """A cluster.

    Attributes:
        folder: where it lies on this machine.
        backend: Kubeflow Pipelines.
        store: KFP's bucket, in a simulated S3.
        mlflow: its server, whose artifacts lie in the same store.
        services: what the pods reach.
        volume: of the claim `moodline`, owned by the pods' user.
    """

    folder: Path
    backend: Backend
    store: ObjectStore
    mlflow: MlflowServer
    services: dict[str, Service]
    volume: Path

    def profile(self, base: str | Path = "demo", **cluster: Any) -> Profile:
        """A profile for this cluster: the volume, and MLflow's address."""
        settings = {
            "volume": {"claim": CLAIM, "mount": MOUNT},
            "env": {
                "MOODLINE_MLFLOW_URI": f"http://{MLFLOW}:5000",
                "MOODLINE_MODELS": f"{MOUNT}/models",
                "HF_HUB_OFFLINE": "1",
                "TRANSFORMERS_OFFLINE": "1",
            },
        }
        profile = load_profile(str(base)).model_dump(mode="json")
        return Profile.model_validate(profile | {"cluster": settings | cluster})

    def run(self, pipeline: str, profile: Profile, **arguments: Any) -> Run:
        """Compile a pipeline and run it to its end."""
        path = self.folder / f"{pipeline.replace(':', '.')}.yaml"
        compile_pipeline(pipeline, profile, path)
        return self.backend.run(path, arguments)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, models_home: Path) -> Iterator[Cluster]:
    """An empty cluster; its volume holds the prepared speech models."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # of the simulator, a line a request
    # pytest's folders are closed to other users.
    with tempfile.TemporaryDirectory(prefix="moodline-cluster-") as name, simulated_s3() as s3:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "services").mkdir()
        volume = folder / "volume"
        shutil.copytree(models_home, volume / "models", copy_function=_link)
        give(volume)
        # The names of both servers, as the pods have them, besides those that MLflow allows itself.
        names = {"MLFLOW_SERVER_ALLOWED_HOSTS": f"{MLFLOW}:5000,127.0.0.1:*"}
        database = f"sqlite:///{folder / 'mlflow.db'}"
        mlflow = MlflowServer(
            folder, database, f"s3://{BUCKET}/mlflow", {**s3.environment, **names}
        )
        mlflow.start()
        services = {
            "mlflow": Service(MLFLOW, 5000, ("127.0.0.1", mlflow.port), folder / "services")
        }
        store = ObjectStore(s3.environment, BUCKET)
        pods = Namespaces(folder / "pods", list(services.values()))
        pods.check()
        launcher = Launcher(store, pods, folder / "scratch")
        backend = Backend(launcher, {CLAIM: volume}, {})
        try:
            yield Cluster(folder, backend, store, mlflow, services, volume)
        finally:
            mlflow.kill()
            for service in services.values():
                service.close()


def give(folder: Path) -> None:
    """Make the pods' user the owner of all in a folder, as `fsGroup` or an administrator does."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
