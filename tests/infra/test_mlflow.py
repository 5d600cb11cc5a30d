"""MLflow's server, as the manifests start it, answers to its names and to those with an account."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from components.base import Refused, Unavailable
from components.config import Settings, load_profile
from components.register import (
    Lineage,
    download,
    history,
    list_versions,
    promote,
    public_key,
    register,
    sign_version,
)
from tests.components.register.conftest import write_evidence, write_model
from tests.components.register.stores import MlflowServer
from tests.infra.manifests import config

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "infra" / "compose" / "compose.yaml"
ALLOWED = "MLFLOW_SERVER_ALLOWED_HOSTS"


def of_compose() -> tuple[str, str]:
    """The names that are allowed, and the one in our setting."""
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    uri = services["moodline"]["environment"]["MOODLINE_MLFLOW_URI"]
    return services["mlflow"]["environment"][ALLOWED], urlsplit(uri).netloc


def of_kubernetes(documents: list[dict[str, Any]]) -> tuple[str, str]:
    """The names that are allowed, and the one in our setting."""
    settings = config(documents, "moodline-settings")["data"]
    (server,) = (
        d["spec"]["template"]["spec"]["containers"][0]
        for d in documents
        if d["kind"] == "Deployment" and d["metadata"]["name"] == "mlflow"
    )
    (allowed,) = (entry["value"] for entry in server["env"] if entry["name"] == ALLOWED)
    return allowed, urlsplit(settings["MOODLINE_MLFLOW_URI"]).netloc


class Accounts(MlflowServer):
    """MLflow's server as the images start it, on PostgreSQL, with Compose's list of names."""

    def __init__(self, folder: Path, database: str) -> None:
        super().__init__(folder, database, str(folder / "artifacts"), {})
        self.command = [sys.executable, str(ROOT / "infra" / "images" / "mlflow_server.py")]
        self.command += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "2"]
        self.command += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
        self.environment |= {
            ALLOWED: of_compose()[0],
            "MLFLOW_BACKEND_STORE_URI": database,
            "MLFLOW_AUTH_ADMIN_PASSWORD": "the admin's 100%",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "random",
            "MLFLOW_TRACKING_USERNAME": "moodline",
            "MLFLOW_TRACKING_PASSWORD": "moodline's own",
        }

    def status(self, host: str, account: tuple[str, str] | None = None) -> int:
        """The status of a request to the registry by a name."""
        url = f"{self.url}/api/2.0/mlflow/registered-models/search"
        return httpx.get(url, headers={"Host": host}, auth=account, timeout=60).status_code


MOODLINE = ("moodline", "moodline's own")
READER = ("ann", "ann's password")


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, database: Callable[[str], str]
) -> Iterator[Accounts]:
    server = Accounts(tmp_path_factory.mktemp("mlflow"), database("accounts"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def log_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[str, str]], None]:
    """Take an account, as the settings of a machine do."""

    def take(account: tuple[str, str]) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", account[0])
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", account[1])

    return take


def test_it_answers_to_its_names_and_to_no_other(server: Accounts) -> None:
    _, name = of_compose()
    assert name == "mlflow:5000"
    assert server.status(name, MOODLINE) == 200
    assert server.status("localhost:5000", MOODLINE) == 200
    assert server.status("elsewhere.example", MOODLINE) == 403


def test_without_an_account_there_is_the_probes_answer_and_no_more(
    server: Accounts, tmp_path: Path
) -> None:
    assert httpx.get(f"{server.url}/health", timeout=60).status_code == 200
    assert server.status("localhost:5000") == 401
    assert server.status("localhost:5000", ("moodline", "another's own")) == 401
    settings = Settings(home=tmp_path / "home", mlflow_uri=server.url)
    with pytest.raises(Unavailable, match="asks who you are; set MLFLOW_TRACKING_USERNAME") as why:
        list_versions(settings)
    assert "\n" not in str(why.value)


def test_moodline_s_account_registers_and_a_reader_only_reads(
    server: Accounts, tmp_path: Path, log_in: Callable[[tuple[str, str]], None]
) -> None:
    settings = Settings(home=tmp_path / "home", mlflow_uri=server.url)
    model = write_model(tmp_path / "model", 17)
    papers = write_evidence(tmp_path / "papers", model)
    lineage = Lineage("0123abcd", "corpus-digest", load_profile("tiny"))
    log_in(MOODLINE)
    assert register(model, **papers, lineage=lineage, settings=settings) == 1
    assert promote(1, settings, actor="a test").won
    (entry,) = history(settings)
    assert (entry.actor, entry.account, entry.fault) == ("a test", "moodline", "")
    assert entry.who == "moodline (“a test”)"

    account = dict(zip(("username", "password"), READER, strict=True))
    made = httpx.post(
        f"{server.url}/api/2.0/mlflow/users/create",
        json=account,
        auth=("admin", "the admin's 100%"),
        timeout=60,
    )
    assert made.status_code == 200
    log_in(READER)
    # The files that others make are trusted by their key, not by their account.
    theirs = settings.model_copy(
        update={"home": tmp_path / "ann", "trusted_keys": public_key(settings)}
    )
    assert [version.aliases for version in list_versions(theirs)] == [("production", "candidate")]
    assert download("production", tmp_path / "fetched", theirs)
    for change in (
        lambda: promote(1, theirs, actor="ann", to="staging"),
        lambda: sign_version(1, settings.model_copy(update={"home": tmp_path / "ann"}),
                             actor="ann", reason="mine now"),
    ):  # fmt: skip
        with pytest.raises((Refused, Unavailable)) as why:
            change()
    assert "this account may not do that" in str(why.value)


def test_what_it_needs_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "infra" / "images" / "mlflow_server.py"],
        env={"MLFLOW_BACKEND_STORE_URI": "sqlite://"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("mlflow: set MLFLOW_AUTH_ADMIN_PASSWORD, MLFLOW_FLASK_")
    assert done.stderr.count("\n") == 1


def test_both_manifests_start_it(overlays: dict[str, Any]) -> None:
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    (pod,) = (
        d["spec"]["template"]["spec"]["containers"][0]
        for d in overlays["cpu"]
        if d["kind"] == "Deployment" and d["metadata"]["name"] == "mlflow"
    )
    for command in (services["mlflow"]["command"], pod["command"]):
        assert command[:2] == ["python", "/app/mlflow_server.py"]
    dockerfile = (ROOT / "infra" / "images" / "Dockerfile").read_text(encoding="utf-8")
    assert "COPY requirements.lock infra/images/mlflow_server.py /app/" in dockerfile


def test_on_kubernetes_it_has_those_names_and_its_service_s(overlays: dict[str, Any]) -> None:
    allowed, name = of_kubernetes(overlays["cpu"])
    assert name == "mlflow:5000"
    more = set(allowed.split(",")) - set(of_compose()[0].split(","))
    assert set(of_compose()[0].split(",")) <= set(allowed.split(","))
    assert all(host.startswith("mlflow.moodline") for host in more)
