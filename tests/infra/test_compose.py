"""The Compose file: of its schema, closed to the network, and of settings and files that exist."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from components.config import Settings
from serving.api.app import create_app
from serving.engine.prediction_log import LogSettings
from serving.settings import ServeSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "infra" / "compose" / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return services


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("check-jsonschema")
    return subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", path],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_of_its_schema(tmp_path: Path) -> None:
    done = checked(COMPOSE)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE.read_text(encoding="utf-8").replace("restart:", "restarts:"))
    assert checked(broken).returncode != 0


def test_nothing_is_open_to_the_network(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) >= 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_containers_may_do_little(services: dict[str, Any]) -> None:
    assert len(services) == 8
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert not service["user"].startswith("0")


def test_what_is_pulled_is_named_by_a_digest_of_the_operator_s(services: dict[str, Any]) -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text(encoding="utf-8")))
    pulled = [s["image"] for s in services.values() if not s["image"].startswith("moodline/")]
    assert len(pulled) == 3
    for image in pulled:
        digest = re.fullmatch(r"[\w/]+@\$\{(\w+_DIGEST):\?[^}]*\}", image)
        assert digest and digest[1] in asked, image
    example = COMPOSE.with_name("env.example").read_text(encoding="utf-8")
    given = re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE)
    defaults = dict(re.findall(r"\$\{(\w+):-(\w*)\}", COMPOSE.read_text(encoding="utf-8")))
    assert {name for name, _ in given} == asked | defaults.keys() | {"COMPOSE_PROJECT_NAME"}
    for name, value in given:
        assert not value or value == defaults.get(name, "moodline")
    assert "infra/compose/.env\n" in (ROOT / ".gitignore").read_text(encoding="utf-8")


def test_its_settings_and_files_exist(services: dict[str, Any]) -> None:
    known = {f"MOODLINE_{name.upper()}" for name in Settings.model_fields}
    known |= {f"MOODLINE_SERVE_{name.upper()}" for name in ServeSettings.model_fields}
    known |= {f"MOODLINE_LOG_{name.upper()}" for name in LogSettings.model_fields}
    environments = [s.get("environment", {}) for s in services.values()]
    ours = {n for environment in environments for n in environment if n.startswith("MOODLINE_")}
    assert len(ours) >= 4
    assert ours <= known
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (COMPOSE.parent / source).is_file(), source
            else:
                assert source in yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]


@pytest.mark.parametrize(
    ("listed", "names"),
    [("", {"moodline"}), ("calls.example,other.example", {"calls.example", "moodline"})],
)
def test_the_service_answers_to_its_names_in_the_network_and_behind_a_proxy(
    services: dict[str, Any], listed: str, names: set[str]
) -> None:
    environment = services["moodline"]["environment"]

    def given(name: str, value: str) -> str:
        interpolated: str = environment[name].replace(f"${{{name}:-}}", value)
        assert "$" not in interpolated
        return interpolated

    app = create_app(1_000_000, 1)
    hosts = given("MOODLINE_SERVE_HOSTS", listed)
    app.state.hosts = ServeSettings(hosts=hosts).host_names
    client = TestClient(app)
    for name in (*names, "127.0.0.1"):
        answer = client.get("/openapi.json", headers={"host": f"{name}:3000"})
        assert answer.status_code == 200, name
    assert client.get("/openapi.json", headers={"host": "evil.example"}).status_code == 403
    assert ServeSettings(keys=given("MOODLINE_SERVE_KEYS", "")).keys == ""
    # A file of keys is made in the volume that the service's state lies in.
    example = COMPOSE.with_name("env.example").read_text(encoding="utf-8")
    (path,) = set(re.findall(r"serving\.keys (\S+)", example))
    assert f"write {path} here" in example
    assert path.startswith(f"{environment['MOODLINE_HOME']}/")
    assert f"state:{environment['MOODLINE_HOME']}" in services["moodline"]["volumes"]


def test_what_a_service_waits_for_has_a_health_check(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[name]


def test_prometheus_has_the_rules_and_finds_who_listens(services: dict[str, Any]) -> None:
    """The same files as everywhere else; every target is a service on a port that it listens on."""
    mounted = {
        (COMPOSE.parent / source).resolve(): target
        for name in ("prometheus", "alertmanager")
        for source, target, *_ in (v.split(":") for v in services[name]["volumes"])
        if source.startswith(".")
    }
    place = ROOT / "infra" / "prometheus"
    assert mounted.keys() == {place / f"{n}.yaml" for n in ("prometheus", "rules", "alertmanager")}
    settings = yaml.safe_load((place / "prometheus.yaml").read_text(encoding="utf-8"))
    (rules,) = settings["rule_files"]
    assert (
        Path(mounted[place / "rules.yaml"])
        == Path(mounted[place / "prometheus.yaml"]).parent / rules
    )
    targets = {
        job["job_name"]: target
        for job in settings["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    assert targets == {
        "moodline": "moodline:3000", "triton": "triton:8002", "trigger": "trigger:3100",
    }  # fmt: skip
    # Each by its own name: a container in another's network is cut off when that one restarts.
    (group,) = settings["alerting"]["alertmanagers"]
    assert group["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    routes = (place / "alertmanager.yaml").read_text(encoding="utf-8")
    assert "url: http://trigger:3100/v1/alerts" in routes
    assert not any("network_mode" in service for service in services.values())


def test_drift_and_retrainings_leave_their_gauges_where_the_trigger_shows_them(
    services: dict[str, Any],
) -> None:
    home = Path(services["trigger"]["environment"]["MOODLINE_HOME"])
    assert f"--prom {Settings(home=home).metrics}/drift.prom" in services["drift"]["command"][-1]
    shared = {v for v in services["drift"]["volumes"] if v.endswith(f":{home}")}
    assert shared == {*services["trigger"]["volumes"]}


def test_alertmanager_brings_the_triggers_token(services: dict[str, Any]) -> None:
    routes = (ROOT / "infra" / "prometheus" / "alertmanager.yaml").read_text(encoding="utf-8")
    (secret,) = services["alertmanager"]["secrets"]
    assert f"credentials_file: {secret['target']}" in routes
    assert services["trigger"]["secrets"] == [secret["source"]]
    assert f"/run/secrets/{secret['source']}" in services["trigger"]["entrypoint"][-1]
