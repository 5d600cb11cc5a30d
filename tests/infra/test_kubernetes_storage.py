"""Who steers on the cluster, and the cluster without a shared volume."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from components.base import Url
from components.config import Settings, load_profile
from serving.settings import ServeSettings
from serving.supervisor.kubernetes_lease import NAMESPACE
from tests.infra.manifests import WORKLOADS, Documents, config, containers, named, of_kind, pod

STORE_PORTS = [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 9000}]


@pytest.fixture
def stored(overlays: dict[str, Documents]) -> Documents:
    return overlays["object-store"]


@pytest.fixture
def environment(stored: Documents, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the pods get."""
    given: dict[str, str] = config(stored, "moodline-settings")["data"]
    for name in [name for name in os.environ if name.startswith("MOODLINE_")]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


def test_the_service_may_do_with_its_lease_what_it_does_and_no_more(documents: Documents) -> None:
    given = config(documents, "moodline-settings")["data"]
    assert given["MOODLINE_SERVE_LEADER"] == "kubernetes"
    lease = given.get("MOODLINE_SERVE_LEASE", ServeSettings().lease)
    (role,), (binding,) = of_kind(documents, "Role"), of_kind(documents, "RoleBinding")
    assert role["rules"] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
         "resourceNames": [lease], "verbs": ["get", "update"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    ]  # fmt: skip
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    service = pod(named(documents, "Deployment", "moodline"))["spec"]
    (subject,) = binding["subjects"]
    assert subject["name"] == service["serviceAccountName"]
    assert subject["namespace"] == role["metadata"]["namespace"] == "moodline"
    door = named(documents, "NetworkPolicy", "moodline")["spec"]["egress"]
    reached = {port["port"] for hole in door if "to" not in hole for port in hole["ports"]}
    assert {443, 6443} <= reached, "the API server"


def test_its_token_lies_where_the_client_looks(documents: Documents) -> None:
    from kubernetes.config import incluster_config as client

    spec = pod(named(documents, "Deployment", "moodline"))["spec"]
    (volume,) = (v for v in spec["volumes"] if v["name"] == "api-token")
    files = {
        path
        for source in volume["projected"]["sources"]
        for path in re.findall(r"'path': '([\w.]+)'", str(source))
    }
    (mount,) = (m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "api-token")
    wanted = {client.SERVICE_TOKEN_FILENAME, client.SERVICE_CERT_FILENAME, str(NAMESPACE)}
    assert {f"{mount['mountPath']}/{file}" for file in files} == wanted
    others = [c for s, c in containers(documents) if c["name"] != "moodline"]
    assert not [c for c in others if "api-token" in str(c.get("volumeMounts"))]


def test_without_a_volume_nothing_lies_on_one(stored: Documents) -> None:
    assert not of_kind(stored, "PersistentVolumeClaim")
    for workload in of_kind(stored, *WORKLOADS):
        for volume in pod(workload)["spec"].get("volumes", []):
            assert not {"persistentVolumeClaim", "hostPath", "nfs"} & volume.keys()


def test_all_that_copies_share_lies_in_the_store(
    stored: Documents, environment: dict[str, str]
) -> None:
    settings, serve = Settings(), ServeSettings()
    shared: list[Any] = [
        settings.shared_repository, settings.log_location, settings.metrics_location,
        serve.shared_folder(settings.home),
    ]  # fmt: skip
    assert all(isinstance(place, Url) for place in shared)
    assert len({str(place) for place in shared}) == len(shared)
    # Its own scratch, which it may write.
    spec = pod(named(stored, "Deployment", "moodline"))["spec"]
    mounts = {m["mountPath"]: m["name"] for m in spec["containers"][0]["volumeMounts"]}
    scratch = {v["name"] for v in spec["volumes"] if "emptyDir" in v}
    assert mounts[str(settings.home)] in scratch


def test_triton_reads_the_repository_that_the_service_writes(
    stored: Documents, environment: dict[str, str]
) -> None:
    (triton,) = pod(named(stored, "StatefulSet", "triton"))["spec"]["containers"]
    assert "--model-repository=$(TRITON_REPOSITORY)" in triton["args"]
    address = environment["TRITON_REPOSITORY"]
    match = re.fullmatch(r"s3://(https://[\w.-]+):443/(\S+)", address)
    assert match, address
    assert match[1] == environment["AWS_ENDPOINT_URL_S3"]
    assert f"s3://{match[2]}" == str(Settings().shared_repository)
    references = {
        entry["name"]: entry["valueFrom"]["configMapKeyRef"]["key"] for entry in triton["env"]
    }
    assert references == {n: n for n in ("TRITON_REPOSITORY", "AWS_DEFAULT_REGION")}


def test_whoever_reads_the_store_reaches_it_with_its_keys(stored: Documents) -> None:
    for name in ("moodline", "triton", "drift", "trigger"):
        (workload,) = (w for w in of_kind(stored, *WORKLOADS) if w["metadata"]["name"] == name)
        (container,) = (c for c in pod(workload)["spec"]["containers"] if c["name"] == name)
        keys = {"secretRef": {"name": "moodline-store", "optional": True}}
        assert keys in container["envFrom"], name
        policy = named(stored, "NetworkPolicy", name)["spec"]
        assert "Egress" in policy["policyTypes"]
        assert {"ports": STORE_PORTS} in policy["egress"], name


def test_a_corpus_in_a_store_is_reached_by_the_trigger_and_by_the_steps(
    overlays: dict[str, Documents], tmp_path: Path
) -> None:
    corpora = {
        name: config(o, "moodline-settings")["data"]["CORPUS"] for name, o in overlays.items()
    }
    stored = [name for name, corpus in corpora.items() if corpus.startswith("s3://")]
    assert "example" in stored
    for documents in (overlays[name] for name in stored):
        (container,) = pod(named(documents, "Deployment", "trigger"))["spec"]["containers"]
        keys = {"secretRef": {"name": "moodline-store", "optional": True}}
        assert keys in container["envFrom"]
        policy = named(documents, "NetworkPolicy", "trigger")["spec"]
        assert {"ports": STORE_PORTS} in policy["egress"]
        profile = tmp_path / "retraining.yaml"
        profile.write_text(config(documents, "moodline-profile")["data"][profile.name])
        given = load_profile(profile).cluster.variables
        assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= given


def test_the_page_names_the_component() -> None:
    infra = Path(__file__).resolve().parents[2] / "infra"
    components = {path.name for path in (infra / "kubernetes" / "components").iterdir()}
    text = (infra / "README.md").read_text(encoding="utf-8")
    assert {name for name in components if f"| `{name}` |" in text} == components
