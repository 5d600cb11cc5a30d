"""Who reaches whom on the cluster: services, scrapes, alerts, and closed doors for the others."""

from pathlib import Path
from typing import Any

import yaml

from components.config import Settings
from tests.infra.manifests import SERVERS, WORKLOADS, Documents, matches, named, of_kind, pod

INFRA = Path(__file__).resolve().parents[2] / "infra"


def test_selectors_select(documents: Documents) -> None:
    pods = {d["metadata"]["name"]: pod(d) for d in of_kind(documents, *WORKLOADS)}
    for deployment in of_kind(documents, *SERVERS):
        assert matches(deployment["spec"]["selector"], pod(deployment))
    for service in of_kind(documents, "Service"):
        templates = [t for t in pods.values() if matches(service["spec"]["selector"], t)]
        assert templates
        for template in templates:
            open_ports = {p["name"] for c in template["spec"]["containers"] for p in c["ports"]}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= open_ports
    for budget in of_kind(documents, "PodDisruptionBudget"):
        assert any(matches(budget["spec"]["selector"], template) for template in pods.values())


def test_the_network_is_closed_but_for_open_doors(documents: Documents) -> None:
    deny = named(documents, "NetworkPolicy", "deny-all")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    pods = {d["metadata"]["name"]: pod(d) for d in of_kind(documents, *WORKLOADS)}
    for policy in of_kind(documents, "NetworkPolicy"):
        if not policy["spec"]["podSelector"]:
            continue
        template = next(t for t in pods.values() if matches(policy["spec"]["podSelector"], t))
        listening = {
            p["containerPort"] for c in template["spec"]["containers"] for p in c.get("ports", [])
        }
        for door in policy["spec"].get("ingress", []):
            assert door["from"], "a door without a guest list"
            assert {port["port"] for port in door["ports"]} <= listening
    (triton,) = (
        d for d in of_kind(documents, "NetworkPolicy") if d["metadata"]["name"] == "triton"
    )
    guests = [
        guest["podSelector"]["matchLabels"]
        for door in triton["spec"]["ingress"]
        for guest in door["from"]
        if "podSelector" in guest
    ]
    assert guests == [{"app.kubernetes.io/name": "moodline"}]


def test_only_who_works_with_the_registry_reaches_it(documents: Documents) -> None:
    """Who may call the service may not write the registry, which decides what the service is."""
    guests: dict[str, list[Any]] = {}
    for name in ("moodline", "trigger", "mlflow"):
        policy = named(documents, "NetworkPolicy", name)
        guests[name] = [g for door in policy["spec"]["ingress"] for g in door["from"]]
    callers = {"namespaceSelector": {"matchLabels": {"moodline/client": "true"}}}
    assert callers in guests["moodline"]
    assert callers not in guests["mlflow"]
    assert {"namespaceSelector": {"matchLabels": {"moodline/registry": "true"}}} in guests["mlflow"]
    (ours,) = (g["podSelector"]["matchExpressions"] for g in guests["mlflow"] if "podSelector" in g)
    (rule,) = ours
    assert (rule["key"], rule["operator"]) == ("app.kubernetes.io/name", "In")
    to_mlflow = {
        policy["metadata"]["name"]
        for policy in of_kind(documents, "NetworkPolicy")
        for door in policy["spec"].get("egress", [])
        for host in door.get("to", [])
        if host.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name")
        == "mlflow"
    }
    assert set(rule["values"]) == to_mlflow == {"moodline", "drift", "trigger"}


def test_the_trigger_reaches_kubeflow_inside_and_by_https(documents: Documents) -> None:
    """What MOODLINE_KFP_HOST may name: http://ml-pipeline.kubeflow:8888, or https://…"""
    doors = named(documents, "NetworkPolicy", "trigger")["spec"]["egress"]
    inside = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kubeflow"}}}
    ports = {port["port"] for door in doors if door.get("to") == [inside] for port in door["ports"]}
    anywhere = {port["port"] for door in doors if "to" not in door for port in door["ports"]}
    assert ports == {8888}
    assert 443 in anywhere


def test_every_scrape_finds_its_port(documents: Documents) -> None:
    monitors = of_kind(documents, "ServiceMonitor")
    services = {d["metadata"]["name"]: d for d in of_kind(documents, "Service")}
    assert {"moodline", "triton", "trigger"} == {m["metadata"]["name"] for m in monitors}
    policies = {d["metadata"]["name"]: d for d in of_kind(documents, "NetworkPolicy")}
    for monitor in monitors:
        # The service's name becomes its job's, which the rules ask for.
        (name,) = (
            name
            for name, service in services.items()
            if monitor["spec"]["selector"]["matchLabels"].items()
            <= service["metadata"]["labels"].items()
        )
        assert name == monitor["metadata"]["name"]
        ports = {port["name"]: port["targetPort"] for port in services[name]["spec"]["ports"]}
        template = next(
            pod(d)
            for d in of_kind(documents, *WORKLOADS)
            if matches(services[name]["spec"]["selector"], pod(d))
        )
        open_ports = {
            p["name"]: p["containerPort"]
            for c in template["spec"]["containers"]
            for p in c["ports"]
        }
        doors = {
            port["port"]
            for door in policies[name]["spec"]["ingress"]
            for guest in door["from"]
            if guest.get("namespaceSelector", {}).get("matchLabels", {})
            == {"kubernetes.io/metadata.name": "monitoring"}
            for port in door["ports"]
        }
        for endpoint in monitor["spec"]["endpoints"]:
            assert open_ports[ports[endpoint["port"]]] in doors


def test_alerts_reach_the_trigger_with_its_token(documents: Documents) -> None:
    (routes,) = of_kind(documents, "AlertmanagerConfig")
    (receiver,) = routes["spec"]["receivers"]
    (hook,) = receiver["webhookConfigs"]
    service = named(documents, "Service", "trigger")
    (port,) = service["spec"]["ports"]
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}"
    assert hook["url"] == f"http://{host}:{port['port']}/v1/alerts"
    (container,) = pod(named(documents, "Deployment", "trigger"))["spec"]["containers"]
    secrets = {s["secretRef"]["name"] for s in container["envFrom"] if "secretRef" in s}
    credentials = hook["httpConfig"]["authorization"]["credentials"]
    assert credentials == {"name": "moodline-trigger", "key": "MOODLINE_TRIGGER_TOKEN"}
    assert credentials["name"] in secrets
    assert "trigger_token" in Settings.model_fields
    # As where there is no operator.
    theirs = yaml.safe_load((INFRA / "prometheus" / "alertmanager.yaml").read_text())["route"]
    (same,) = (route for route in theirs["routes"] if route["receiver"] == "trigger")
    ours = routes["spec"]["route"]
    (matcher,) = ours["matchers"]
    assert same["matchers"] == ['{name}="{value}"'.format(**matcher)]
    assert ours["groupBy"] == theirs["group_by"]
    for here, there in (("groupWait", "group_wait"), ("repeatInterval", "repeat_interval")):
        assert ours[here] == same[there]
