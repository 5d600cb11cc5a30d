"""Over several nodes: the retraining makes a TrainJob, inside the cluster, without any volume."""

import datetime
import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.config import Profile
from components.register import list_versions
from tests.cluster.conftest import Cluster
from tests.cluster.forward import Service
from tests.cluster.launcher import Launcher
from tests.cluster.pods import Namespaces, Pod
from tests.cluster.test_retrain import CORPUS, mlflow_runs, profile, registry
from tests.cluster.trainer import Trainer, serving
from tests.components.register.stores import BUCKET

__all__ = ["profile"]
pytestmark = [
    pytest.mark.models, pytest.mark.servers, pytest.mark.cluster, pytest.mark.timeout(1200),
]  # fmt: skip

API, PORT = "kubernetes.default.svc", 6443
Words, Variables, Logs = list[str], list[dict[str, str]], list[Path]
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
NODES = """
import json, os, subprocess, sys
command, environments = json.loads(sys.argv[1])
nodes = [
    subprocess.Popen(command, env={**os.environ, **e}, stdout=log, stderr=log)
    for i, e in enumerate(environments) for log in [open(f"/tmp/node-{i}.log", "wb")]
]
open("/tmp/statuses", "w").write(json.dumps([node.wait() for node in nodes]))
"""


def account(folder: Path) -> tuple[Path, Path]:
    """What Kubernetes mounts of a service account; the server's certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, API)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(API)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "token").write_text("a-token")
    (folder / "namespace").write_text("team")
    private = folder.with_name("api.key")
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "ca.crt", private


@pytest.fixture
def trainer(cluster: Cluster) -> Iterator[Trainer]:
    """Kubernetes' API as one more service of the cluster; a job's nodes share a network."""
    launcher = cluster.backend.launcher
    folder = cluster.folder / "trainer"
    folder.mkdir()
    certificate = account(folder / "account")

    def nodes(
        command: list[str], environments: list[dict[str, str]], logs: list[Path]
    ) -> list[int]:
        scratch = folder / uuid.uuid4().hex
        for rank, log in enumerate(logs):
            log.unlink()
            log.symlink_to(scratch / "tmp" / f"node-{rank}.log")
        whole = json.dumps([command, environments])
        ended = pods.run(Pod([sys.executable, "-c", NODES, whole], environments[0]), scratch)
        assert ended.status == 0, ended.log
        statuses: list[int] = json.loads((scratch / "tmp" / "statuses").read_text())
        return statuses

    trainer = Trainer(nodes, folder, secrets=cluster.backend.secrets)
    with serving(trainer, certificate) as port:
        api = Service(API, PORT, ("127.0.0.1", port), folder)
        image = launcher.pods.image | {ACCOUNT: folder / "account"}
        pods = Namespaces(folder / "pods", [*launcher.pods.services, api], image)
        cluster.backend.launcher = Launcher(launcher.store, pods, launcher.folder)
        cluster.backend.cluster_environment = {
            "KUBERNETES_SERVICE_HOST": API, "KUBERNETES_SERVICE_PORT": str(PORT),
        }  # fmt: skip
        try:
            yield trainer
        finally:
            cluster.backend.launcher, cluster.backend.cluster_environment = launcher, {}
            api.close()
            shutil.rmtree(folder)


def several_nodes(cluster: Cluster, profile: Profile, **more: Any) -> Profile:
    document = profile.model_dump(mode="json") | more
    env = document["cluster"]["env"] | {"MOODLINE_CACHE": f"s3://{BUCKET}/cache"}
    return Profile.model_validate(
        document | {"cluster": document["cluster"] | {"nodes": 2, "env": env, "retries": 0}}
    )


def test_two_nodes_without_a_volume_train_a_version(
    cluster: Cluster, profile: Profile, trainer: Trainer
) -> None:
    both = several_nodes(cluster, profile, seed=11)
    run = cluster.run("retrain", both, corpus=CORPUS)
    assert not run.failed, run.log(run.failed)
    assert "2 of 2 nodes run" in run.log("train-nodes")
    (job,) = trainer.made
    assert job["metadata"]["name"].startswith("moodline-tiny-")
    # The version's own run in MLflow has the training's curves, its data and the nodes' load.
    newest = max(list_versions(registry(cluster)), key=lambda version: version.number)
    assert newest.lineage["pipeline_run"] == run.name
    (kept,) = [r for r in mlflow_runs(cluster) if r.data.tags.get("pipeline_run") == run.name]
    assert {"training_loss", "best_epoch"} <= kept.data.metrics.keys()
    assert kept.info.status == "FINISHED"
    (data,) = kept.inputs.dataset_inputs
    assert CORPUS in data.dataset.source
    assert not trainer.jobs
    assert not list(cluster.store.keys("cache/trainjobs/"))
    # Once trained it is not trained again.
    again = cluster.run("retrain", both, corpus=CORPUS)
    assert not again.failed and "train-nodes" not in again.results
    assert len(trainer.made) == 1
