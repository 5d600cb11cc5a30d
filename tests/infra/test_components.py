"""What an overlay may add: a way in, secrets, a dashboard, models, a Triton of KServe's."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from components.config import Settings, load_profile
from pipelines.cli.main import run
from serving.settings import ServeSettings
from serving.triton.replicas import addresses
from tests.infra.conftest import ROOT, Documents, build
from tests.infra.manifests import config, containers, matches, named, of_kind, pod, same_triton
from tests.infra.schemas import check

KUBERNETES = ROOT / "infra" / "kubernetes"
PRIVATE = ("/metrics", "/healthz", "/livez", "/readyz")


@pytest.fixture
def example(overlays: dict[str, Documents]) -> Documents:
    return overlays["example-gateway"]


@pytest.fixture
def kserve(overlays: dict[str, Documents]) -> Documents:
    return overlays["kserve"]


def test_the_route_takes_a_listener_with_tls_and_opens_no_probe(example: Documents) -> None:
    route = named(example, "HTTPRoute", "moodline")["spec"]
    gateway = yaml.safe_load((KUBERNETES / "components/gateway/example-gateway.yaml").read_text())
    check(gateway)
    (parent,), (rule,), (listener,) = (
        route["parentRefs"],
        route["rules"],
        gateway["spec"]["listeners"],
    )
    assert (parent["name"], parent["namespace"]) == (
        gateway["metadata"]["name"],
        gateway["metadata"]["namespace"],
    )
    assert (parent["sectionName"], listener["protocol"]) == (listener["name"], "HTTPS")
    assert listener["tls"]["certificateRefs"]
    assert [listener["hostname"]] == route["hostnames"]
    paths = [match["path"] for match in rule["matches"]]
    assert {"type": "PathPrefix", "value": "/v1"} in paths
    for path in paths:
        assert path["value"] not in PRIVATE
        assert path["type"] == "Exact" or path["value"] != "/"
    ingress = KUBERNETES / "components/ingress/ingress.yaml"
    (theirs,) = yaml.safe_load(ingress.read_text())["spec"]["rules"]
    assert {path["value"] for path in paths} == {p["path"] for p in theirs["http"]["paths"]}
    hosts = config(example, "moodline-settings")["data"]["MOODLINE_SERVE_HOSTS"]
    assert route["hostnames"][0] in hosts.split(",")
    (backend,) = rule["backendRefs"]
    ports = named(example, "Service", backend["name"])["spec"]["ports"]
    assert backend["port"] in {port["port"] for port in ports}
    assert int(rule["timeouts"]["request"].rstrip("s")) >= ServeSettings().timeout


def test_every_secret_that_a_pod_names_comes_from_the_store(example: Documents) -> None:
    made = {d["spec"]["target"]["name"] for d in of_kind(example, "ExternalSecret")}
    asked = set()
    for spec, container in containers(example):
        asked |= {s["secretRef"]["name"] for s in container.get("envFrom", []) if "secretRef" in s}
        asked |= {v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v}
    assert made == asked
    page = (ROOT / "infra" / "README.md").read_text()
    assert all(f"| `{name}` |" in page for name in made)


def test_the_dashboard_is_found_by_grafana_s_sidecar(example: Documents) -> None:
    found = named(example, "ConfigMap", "moodline-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    shown = (ROOT / "infra" / "grafana" / "moodline.json").read_text()
    assert json.loads(found["data"]["moodline.json"]) == json.loads(shown)


def test_models_from_a_store_go_where_the_service_looks(example: Documents) -> None:
    spec = pod(named(example, "Deployment", "moodline"))["spec"]
    (brings,), (serves,) = spec["initContainers"], spec["containers"]
    folders = {
        next(e["value"] for e in container["env"] if e["name"] == "MOODLINE_MODELS")
        for container in (brings, serves)
    }
    (folder,) = folders
    for container, writes in ((brings, True), (serves, False)):
        (mount,) = (m for m in container["volumeMounts"] if m["mountPath"] == folder)
        assert (mount["name"], mount.get("readOnly", False)) == ("models", not writes)
    assert brings["image"] == serves["image"], "the client is the service's own"
    assert run([*brings["args"], "--help"]) == 0
    assert "PREPARED_MODELS" in config(example, "moodline-settings")["data"]
    assert Settings(models=folder).models


def test_a_deletion_stands_alone_in_its_file() -> None:
    """Beside another document kubectl before 1.33 ends in a panic, at two deletions for one."""
    found = 0
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        parts = list(yaml.safe_load_all(path.read_text()))
        deletions = [p for p in parts if isinstance(p, dict) and p.get("$patch") == "delete"]
        assert not deletions or len(parts) == 1, path
        found += len(deletions)
    assert found >= 3, "the manifests delete otherwise now"


def test_kserve_runs_each_triton_under_the_name_that_the_service_steers(kserve: Documents) -> None:
    services = of_kind(kserve, "InferenceService")
    assert of_kind(kserve, "StatefulSet") == []
    urls = config(kserve, "moodline-settings")["data"]["MOODLINE_TRITON_URL"]
    for url, service in zip(addresses(urls), services, strict=True):
        name, _, port = url.partition(":")
        steered = named(kserve, "Service", name)["spec"]
        # The service loads the one pod that it finds there, which is not ready before.
        assert [s for s in services if matches(steered["selector"], pod(s))] == [service]
        assert (steered["clusterIP"], steered["publishNotReadyAddresses"]) == ("None", True)
        assert [p["port"] for p in steered["ports"]] == [int(port)] == [8001]
        assert service["spec"]["predictor"]["deploymentStrategy"] == {"type": "Recreate"}
        notes, labels = service["metadata"]["annotations"], service["metadata"]["labels"]
        # By this label one Triton is applied at a time.
        assert steered["selector"].items() <= labels.items()
        assert notes["serving.kserve.io/deploymentMode"] == "Standard"
        assert labels["networking.kserve.io/visibility"] == "cluster-local"
        predictor = service["spec"]["predictor"]
        assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 1)
        (container,) = predictor["containers"]
        assert container["name"] == "kserve-container"
        assert "grpc" in container["ports"][0]["name"], "KServe takes it for h2c by its name"
        assert not {"model", "triton", "storageUris"} & predictor.keys(), "who loads is Moodline"


def test_kserve_s_triton_is_ours(kserve: Documents, overlays: dict[str, Documents]) -> None:
    """What holds of the one holds of the other; above all, that an empty Triton is not ready."""
    ours = pod(named(overlays["cpu"], "StatefulSet", "triton"))["spec"]
    for service in of_kind(kserve, "InferenceService"):
        same_triton(service["spec"]["predictor"], ours)


@pytest.mark.parametrize(
    ("overlay", "kind", "place", "value"),
    [
        ("example-gateway", "HTTPRoute", ["spec", "rules", 0, "matchez"], []),
        ("example-gateway", "HTTPRoute", ["spec", "rules", 0, "timeouts", "request"], "long"),
        ("example-gateway", "ExternalSecret", ["spec", "target", "nam"], "moodline"),
        ("example-gateway", "ExternalSecret", ["spec", "secretStoreRef", "kind"], "Store"),
        ("kserve", "InferenceService", ["spec", "predictor", "containers", 0, "comand"], []),
        ("kserve", "InferenceService", ["spec", "predictor", "volumes", 0, "emptyDirr"], {}),
        ("kserve", "InferenceService", ["spec", "predictor", "minReplicas"], "one"),
    ],
)
def test_a_custom_resource_is_held_to_its_definition(
    overlay: str, kind: str, place: list[Any], value: Any, overlays: dict[str, Documents]
) -> None:
    broken = copy.deepcopy(of_kind(overlays[overlay], kind)[0])
    *way, last = place
    part: Any = broken
    for step in way:
        part = part[step]
    part[last] = value
    with pytest.raises(jsonschema.ValidationError):
        check(broken)


def test_the_pipelines_namespace_reaches_the_registry_and_may_be_started_in(
    models_home: Path, overlays: dict[str, Documents]
) -> None:
    team = build(models_home, "team")
    for document in [*team, yaml.safe_load((KUBERNETES / "team/profile.yaml").read_text())]:
        check(document)
    (namespace,) = of_kind(team, "Namespace")
    doors = named(overlays["cpu"], "NetworkPolicy", "mlflow")["spec"]["ingress"]
    guests = [g["namespaceSelector"] for d in doors for g in d["from"] if "namespaceSelector" in g]
    assert any(matches(guest, namespace) for guest in guests)
    (binding,) = of_kind(team, "RoleBinding")
    (subject,) = binding["subjects"]
    account = named(overlays["cpu"], "ServiceAccount", subject["name"])
    assert account["metadata"]["namespace"] == subject["namespace"]
    profile = load_profile(str(KUBERNETES / "overlays" / "example" / "retraining.yaml"))
    assert profile.cluster.namespace == namespace["metadata"]["name"]
    secrets = {d["spec"]["target"]["name"] for d in of_kind(team, "ExternalSecret")}
    assert secrets == {secret.name for secret in profile.cluster.secrets}
