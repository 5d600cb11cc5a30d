"""Without a volume a corpus is read from the object store; a volume must be the pods' own."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from components.corpus import check_corpus
from tests.cluster.backend import Backend, Run
from tests.cluster.conftest import CLAIM, Cluster
from tests.cluster.forward import Service
from tests.cluster.launcher import Launcher
from tests.cluster.pods import USER, Namespaces

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

STORE = "store"  # with a point in it moto takes the first part for a bucket
KEYS = {"AWS_ACCESS_KEY_ID": "simulated", "AWS_SECRET_ACCESS_KEY": "simulated"}


@pytest.fixture(scope="module")
def reaching(cluster: Cluster) -> Iterator[Cluster]:
    """The same cluster; its pods reach the object store, too."""
    address = urlsplit(cluster.store.client.meta.endpoint_url)
    assert address.hostname and address.port
    service = Service(STORE, 9000, (address.hostname, address.port), cluster.folder / "services")
    services = cluster.services | {"s3": service}
    pods = Namespaces(cluster.folder / "pods-by-url", list(services.values()))
    launcher = Launcher(cluster.store, pods, cluster.folder / "scratch-by-url")
    backend = Backend(launcher, {CLAIM: cluster.volume}, {"s3": KEYS})
    yield replace(cluster, backend=backend, services=services)
    service.close()


@pytest.fixture(scope="module")
def corpus(cluster: Cluster, demo_corpus: Path) -> str:
    """A session of the demo corpus in the store."""
    for path in demo_corpus.glob("Session1/dialog/*/*"):
        cluster.store.upload(path, f"corpora/demo/{path.relative_to(demo_corpus)}")
    return f"s3://{cluster.store.bucket}/corpora/demo"


def read(cluster: Cluster, corpus: str, **settings: Any) -> Run:
    env = {"AWS_ENDPOINT_URL_S3": f"http://{STORE}:9000"}
    secret = {"name": "s3", "env": {name: name for name in KEYS}}
    settings = {"env": env, "secrets": [secret]} | settings
    return cluster.run("tests.cluster.corpora:reading", cluster.profile(**settings), corpus=corpus)


def test_a_corpus_by_url_needs_no_volume(
    reaching: Cluster, corpus: str, demo_corpus: Path, tmp_path: Path
) -> None:
    run = read(reaching, corpus, volume=None)
    assert not run.failed, run.log(run.failed)
    made = run.results["corpus"].artifacts["manifest"]
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "Session1").symlink_to(demo_corpus / "Session1")
    assert made["metadata"]["digest"] == check_corpus(tmp_path / "demo").digest
    key = made["uri"].removeprefix(f"minio://{reaching.store.bucket}/")
    reaching.store.download(key, tmp_path / "manifest")
    assert f'"audio": "{corpus}/Session1/dialog/wav/' in (
        tmp_path / "manifest" / "manifest.jsonl"
    ).read_text(encoding="utf-8")


def test_the_store_is_away(reaching: Cluster, corpus: str) -> None:
    reaching.services["s3"].up = False
    try:
        run = read(reaching, corpus, volume=None)
    finally:
        reaching.services["s3"].up = True
    assert run.failed == "corpus-digest"
    assert "Unavailable: s3://" in run.log(run.failed).splitlines()[-1]


def test_a_volume_of_somebody_else_is_refused_at_once(reaching: Cluster, corpus: str) -> None:
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(reaching.volume, 0, 0)
    else:  # who cannot give it to another can close it
        reaching.volume.chmod(0o555)
    try:
        run = read(reaching, corpus)
    finally:
        reaching.volume.chmod(0o755)
        if is_root:
            os.chown(reaching.volume, USER, USER)
    assert run.failed == "corpus-digest"
    line = run.log(run.failed).splitlines()[-1]
    assert "cannot be written by user 10001: permission denied" in line
    assert "fsGroup 10001" in line
