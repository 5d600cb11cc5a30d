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


@pytest.fixture(params=["compose", "kubernetes"])
def server(
    request: pytest.FixtureRequest, overlays: dict[str, Any], tmp_path: Path
) -> Iterator[tuple[MlflowServer, str]]:
    """A server with the manifest's list, and the name by which the others call it."""
    of = of_compose() if request.param == "compose" else of_kubernetes(overlays["cpu"])
    server = MlflowServer(
        tmp_path, f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path), {ALLOWED: of[0]}
    )
    server.start()
    yield server, of[1]
    server.kill()


def asked(server: MlflowServer, host: str) -> int:
    """The status of a question to the registry by a name."""
    url = f"{server.url}/api/2.0/mlflow/registered-models/search"
    return httpx.get(url, headers={"Host": host}, timeout=30).status_code


def test_it_answers_to_its_names_and_to_no_other(server: tuple[MlflowServer, str]) -> None:
    running, name = server
    assert name == "mlflow:5000"
    assert asked(running, name) == 200
    assert asked(running, "localhost:5000") == 200
    assert asked(running, "elsewhere.example") == 403
