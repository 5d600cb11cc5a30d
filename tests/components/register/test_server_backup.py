"""A registry on a server is backed up where it runs, as docs/operating.md says, and comes back.

`make test-cluster` runs it: two servers one after the other take a while.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from components.base import tree_digest
from components.config import Settings
from components.register import download, history, list_versions, promote, prune, rollback
from tests.components.register.stores import (
    BUCKET,
    MlflowServer,
    SimulatedS3,
    postgres_programs,
)

pytestmark = [pytest.mark.servers, pytest.mark.cluster]


def _client(s3: SimulatedS3) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3.environment["MLFLOW_S3_ENDPOINT_URL"],
        aws_access_key_id="simulated",
        aws_secret_access_key="simulated",
    )


def copy_objects(s3: SimulatedS3, source: str, target: str) -> None:
    """What `aws s3 sync` does between two folders of a bucket."""
    for name in s3.names():
        if name.startswith(f"{source}/"):
            key = target + name.removeprefix(source)
            _client(s3).copy_object(Bucket=BUCKET, Key=key, CopySource=f"{BUCKET}/{name}")


def test_a_registry_on_a_server_is_pruned_and_comes_back_elsewhere(
    database: Callable[[str], str], s3: SimulatedS3, tmp_path: Path, add_version: Callable[..., int]
) -> None:
    """MLflow on PostgreSQL, files in a simulated S3 that only MLflow's server reaches."""
    first = database("kept")
    server = MlflowServer(tmp_path, first, f"s3://{BUCKET}/kept", s3.environment)
    settings = Settings(home=tmp_path / "home", mlflow_uri=server.url)
    try:
        server.start()
        for _ in range(5):
            add_version(settings)
        for number in (2, 3):
            promote(number, settings, actor="ann")
        assert prune(settings, days=0, keep=2) == [1, 4]
        kept = [name for name in s3.names() if name.startswith("kept/")]
        for file in ("model.onnx", "artifacts/report.html"):
            assert len([name for name in kept if name.endswith(f"/{file}")]) == 3
        versions, entries = list_versions(settings), history(settings)
        assert [version.number for version in versions] == [5, 3, 2]
        programs = postgres_programs()
        dump = tmp_path / "registry.dump"
        subprocess.run([programs / "pg_dump", "-Fc", "-f", dump, first], check=True)
        copy_objects(s3, "kept", "restored")
    finally:
        server.kill()

    second = database("restored")
    subprocess.run([programs / "pg_restore", "-d", second, dump], check=True)
    for name in kept:  # nothing may still come from there
        _client(s3).delete_object(Bucket=BUCKET, Key=name)
    server = MlflowServer(tmp_path, second, f"s3://{BUCKET}/restored", s3.environment)
    settings = settings.model_copy(update={"mlflow_uri": server.url})
    try:
        server.start()
        assert list_versions(settings) == versions
        assert history(settings) == entries and not any(entry.fault for entry in entries)
        assert all(version.signature == "valid" for version in versions)
        digest = tree_digest(download("production", tmp_path / "model", settings))
        assert digest == versions[1].digest
        assert rollback(settings, actor="ann").to_version == 2
        assert add_version(settings) == 6
    finally:
        server.kill()
