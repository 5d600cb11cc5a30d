"""MLflow's server, as the manifests set it, answers to the names by which it is called."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.components.register.stores import MlflowServer

COMPOSE = Path(__file__).resolve().parents[2] / "infra" / "compose" / "compose.yaml"
ALLOWED = "MLFLOW_SERVER_ALLOWED_HOSTS"


def of_compose() -> tuple[str, str]:
    """The names that are allowed, and the one in our setting."""
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    uri = services["moodline"]["environment"]["MOODLINE_MLFLOW_URI"]
    return services["mlflow"]["environment"][ALLOWED], urlsplit(uri).netloc


def of_kubernetes(documents: list[dict[str, Any]]) -> tuple[str, str]:
    """The names that are allowed, and the one in our setting."""
    (settings,) = (d["data"] for d in documents if d["kind"] == "ConfigMap")
    (server,) = (
        d["spec"]["template"]["spec"]["containers"][0]
        for d in documents
        if d["kind"] == "Deployment" and d["metadata"]["name"] == "mlflow"
    )
    (allowed,) = (entry["value"] for entry in server["env"] if entry["name"] == ALLOWED)
    return allowed, urlsplit(settings["MOODLINE_MLFLOW_URI"]).netloc


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    """A server with Compose's list."""
    allowed, _ = of_compose()
    server = MlflowServer(
        tmp_path, f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path), {ALLOWED: allowed}
    )
    server.start()
    yield server
    server.kill()


def status(server: MlflowServer, host: str) -> int:
    """The status of a request to the registry by a name."""
    url = f"{server.url}/api/2.0/mlflow/registered-models/search"
    return httpx.get(url, headers={"Host": host}, timeout=30).status_code


def test_it_answers_to_its_names_and_to_no_other(server: MlflowServer) -> None:
    _, name = of_compose()
    assert name == "mlflow:5000"
    assert status(server, name) == 200
    assert status(server, "localhost:5000") == 200
    assert status(server, "elsewhere.example") == 403


def test_on_kubernetes_it_has_those_names_and_its_service_s(overlays: dict[str, Any]) -> None:
    allowed, name = of_kubernetes(overlays["cpu"])
    assert name == "mlflow:5000"
    more = set(allowed.split(",")) - set(of_compose()[0].split(","))
    assert set(of_compose()[0].split(",")) <= set(allowed.split(","))
    assert all(host.startswith("mlflow.moodline") for host in more)
