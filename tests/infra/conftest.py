"""The manifests as kubectl builds them."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "infra" / "kubernetes"
OWN_TRITON = ("cpu", "gpu", "example", "example-gateway", "object-store")
OVERLAYS = (*OWN_TRITON, "kserve")

Documents = list[dict[str, Any]]


def build(models_home: Path, folder: str) -> Documents:
    """What kubectl makes of a folder of infra/kubernetes (`make test` fetches kubectl)."""
    done = subprocess.run(
        [models_home.parent / "tools" / "kubectl", "kustomize", KUBERNETES / folder],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "", done.stderr  # a deprecated field, say
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="session")
def overlays(models_home: Path) -> dict[str, Documents]:
    """Every overlay's objects."""
    return {name: build(models_home, f"overlays/{name}") for name in OVERLAYS}


@pytest.fixture(scope="session", params=OVERLAYS)
def documents(request: pytest.FixtureRequest, overlays: dict[str, Documents]) -> Documents:
    """One overlay's objects."""
    return overlays[request.param]


@pytest.fixture(params=OWN_TRITON)
def with_triton(request: pytest.FixtureRequest, overlays: dict[str, Documents]) -> Documents:
    """The objects of one overlay with a Triton of its own."""
    return overlays[request.param]
