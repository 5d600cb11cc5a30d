"""Without a volume a corpus is read from the object store; a volume must be the pods' own."""

from pathlib import Path
from typing import Any

import pytest

from components.corpus import check_corpus
from tests.cluster.backend import Run
from tests.cluster.conftest import VOLUME, Cluster
from tests.components.base.objects import door

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def corpus(cluster: Cluster, demo_corpus: Path) -> str:
    """A session of the demo corpus in the store."""
    for path in demo_corpus.glob("Session1/dialog/*/*"):
        cluster.store.upload(path, f"corpora/demo/{path.relative_to(demo_corpus)}")
    return f"s3://{cluster.store.bucket}/corpora/demo"


def read(cluster: Cluster, corpus: str, **settings: Any) -> Run:
    return cluster.run("tests.cluster.corpora:reading", cluster.profile(**settings), corpus=corpus)


def test_a_corpus_by_url_needs_no_volume(
    cluster: Cluster, corpus: str, demo_corpus: Path, tmp_path: Path
) -> None:
    run = read(cluster, corpus)
    assert not run.failed, run.log(run.failed)
    made = run.results["corpus"].artifacts["manifest"]
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "Session1").symlink_to(demo_corpus / "Session1")
    assert made["metadata"]["digest"] == check_corpus(tmp_path / "demo").digest
    key = made["uri"].removeprefix(f"minio://{cluster.store.bucket}/")
    cluster.store.download(key, tmp_path / "manifest")
    assert f'"audio": "{corpus}/Session1/dialog/wav/' in (
        tmp_path / "manifest" / "manifest.jsonl"
    ).read_text(encoding="utf-8")


def test_the_store_is_away(cluster: Cluster, corpus: str) -> None:
    cluster.services["store"].up = False
    try:
        run = read(cluster, corpus)
    finally:
        cluster.services["store"].up = True
    assert run.failed == "corpus-digest"
    assert "Unavailable: s3://" in run.log(run.failed).splitlines()[-1]


def test_a_volume_of_somebody_else_is_refused_at_once(cluster: Cluster, corpus: str) -> None:
    with cluster.volume_of_somebody_else():
        run = read(cluster, corpus, volume=VOLUME)
    assert run.failed == "corpus-digest"
    line = run.log(run.failed).splitlines()[-1]
    assert "cannot be written by user 10001: permission denied" in line
    assert "fsGroup 10001" in line


def test_a_bucket_that_is_not_there(cluster: Cluster) -> None:
    run = read(cluster, "s3://gone/calls")
    assert run.failed == "corpus-digest"
    assert "s3://gone/" in (line := run.log(run.failed).splitlines()[-1])
    assert line.endswith("no such bucket")


def test_credentials_expire_in_the_middle(cluster: Cluster, corpus: str) -> None:
    store = cluster.services["store"]
    behind = store.server
    with door("{}:{}".format(*behind)) as front:
        store.server = ("127.0.0.1", front.port)

        def expire(step: str) -> None:
            if step == "corpus":
                front.refuse(400, "ExpiredToken", after=3)

        cluster.backend.on_step = expire
        try:
            run = read(cluster, f"{corpus}/")  # not from the cache
        finally:
            cluster.backend.on_step = lambda step: None
            store.server = behind
    assert run.failed == "corpus"
    (line,) = (n for n in run.log(run.failed).splitlines() if "credentials have expired" in n)
    assert "renew them and start again" in line
    again = read(cluster, f"{corpus}/")
    assert not again.failed, again.log(again.failed)
