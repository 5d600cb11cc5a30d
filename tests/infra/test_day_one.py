"""A cluster's first day: pods that wait, speech models that are brought, and a way in."""

import shutil
from typing import Any

import pytest
import yaml

from components.config import Settings
from serving.settings import ServeSettings
from tests.infra.conftest import ROOT, Documents
from tests.infra.manifests import config, named, of_kind, pod


def test_the_service_waits_for_a_first_version(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(documents, "moodline-settings")["data"]
    compose = yaml.safe_load((ROOT / "infra" / "compose" / "compose.yaml").read_text())
    for environment in (settings, compose["services"]["moodline"]["environment"]):
        monkeypatch.setenv("MOODLINE_SERVE_WAIT", environment["MOODLINE_SERVE_WAIT"])
        assert ServeSettings().wait


def test_an_hourly_look_for_drift_comes_before_the_alert_that_nobody_looks(
    documents: Documents,
) -> None:
    (job,) = of_kind(documents, "CronJob")
    assert job["spec"]["schedule"].split()[1:] == ["*"] * 4
    (rules,) = of_kind(documents, "PrometheusRule")
    every = [rule for group in rules["spec"]["groups"] for rule in group["rules"]]
    (unchecked,) = (rule for rule in every if rule.get("alert") == "MoodlineDriftUnchecked")
    # The first look comes within an hour, and its image is fetched before.
    assert unchecked["for"] == "2h"


@pytest.fixture
def service(overlays: dict[str, Documents]) -> dict[str, Any]:
    spec: dict[str, Any] = pod(named(overlays["example"], "Deployment", "moodline"))["spec"]
    return spec


def test_speech_models_are_brought_to_where_the_service_looks(
    service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (brings,), (serves,) = service["initContainers"], service["containers"]
    environment = {entry["name"]: entry["value"] for entry in serves["env"]}
    monkeypatch.setenv("MOODLINE_MODELS", environment["MOODLINE_MODELS"])
    folder = str(Settings().models)
    assert shutil.which(brings["command"][0]) and brings["command"][-1] == folder
    mounts = {
        container["name"]: next(m for m in container["volumeMounts"] if m["mountPath"] == folder)
        for container in (brings, serves)
    }
    assert mounts["models"]["name"] == mounts["moodline"]["name"]
    assert mounts["moodline"]["readOnly"] is True


def test_the_ingress_has_tls_and_opens_no_probe_and_no_metrics(
    overlays: dict[str, Documents],
) -> None:
    (ingress,) = of_kind(overlays["example"], "Ingress")
    (rule,), (tls,) = ingress["spec"]["rules"], ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]
    open_paths = {(path["path"], path["pathType"]) for path in rule["http"]["paths"]}
    assert ("/v1", "Prefix") in open_paths
    assert all(kind == "Exact" or path != "/" for path, kind in open_paths)
    assert not {path for path, _ in open_paths} & {"/metrics", "/healthz", "/livez", "/readyz"}
    hosts = config(overlays["example"], "moodline-settings")["data"]["MOODLINE_SERVE_HOSTS"]
    assert rule["host"] in hosts.split(",")
    service = named(overlays["example"], "Service", "moodline")
    ports = {port["name"] for port in service["spec"]["ports"]}
    assert {path["backend"]["service"]["port"]["name"] for path in rule["http"]["paths"]} <= ports
    limits = ingress["metadata"]["annotations"]
    size = limits["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert int(size.removesuffix("m")) > Settings().max_upload_megabytes
    timeout = limits["nginx.ingress.kubernetes.io/proxy-read-timeout"]
    assert int(timeout) >= ServeSettings().timeout
