"""Alerts reach the trigger on a cluster: by the routes that the Prometheus operator makes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.test_prometheus import PLACE, RULES, tool

RETRAIN = [rule["alert"] for rule in RULES if rule.get("labels", {}).get("retrain") == "true"]
TARGET = (
    'namespace="moodline",job="trigger",service="trigger",pod="trigger-0",container="trigger"'
    ',endpoint="http",instance="10.0.0.7:3100"'
)
"""The labels that a scrape by a ServiceMonitor gives a series."""


def operator_config(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """The configuration that the operator generates for our AlertmanagerConfig, on its defaults.

    Stands for these parts of prometheus-operator v0.93:
    - pkg/alertmanager/operator.go, `defaultAlertmanagerConfiguration`: who is not routed is told
      nothing ("null");
    - pkg/alertmanager/amcfg.go, `namespaceEnforcer.processRoute`: with the strategy OnNamespace, a
      route asks for the namespace of its object;
    - the same file, `makeNamespacedString`: a receiver is named by namespace, object and name.
    """
    (ours,) = (d for d in documents if d["kind"] == "AlertmanagerConfig")
    namespace, name = ours["metadata"]["namespace"], ours["metadata"]["name"]
    route = ours["spec"]["route"]
    matchers = [
        f'{matcher["name"]}{matcher.get("matchType", "=")}"{matcher["value"]}"'
        for matcher in [*route["matchers"], {"name": "namespace", "value": namespace}]
    ]
    receivers = [
        {"name": f"{namespace}/{name}/{receiver['name']}"} for receiver in ours["spec"]["receivers"]
    ]
    sub = {"receiver": f"{namespace}/{name}/{route['receiver']}", "matchers": matchers}
    return {
        "route": {"receiver": "null", "routes": [sub | {"continue": route["continue"]}]},
        "receivers": [*receivers, {"name": "null"}],
    }


def firing_labels(alert: str, folder: Path) -> dict[str, str]:
    """The labels with which promtool says that an alert fires, as Alertmanager is sent them.

    The series are those of the alert's own test, scraped by a ServiceMonitor.
    """
    name = "rules_days_test.yaml" if alert == "MoodlineModelStale" else "rules_test.yaml"
    content = yaml.safe_load((PLACE / name).read_text(encoding="utf-8"))
    (test,) = (
        one
        for one in content["tests"]
        if f'"{alert}"' in one["promql_expr_test"][0]["expr"]
        and one["promql_expr_test"][0]["exp_samples"]
    )
    for series in test["input_series"]:
        metric, _, labels = series["series"].rstrip("}").partition("{")
        own = re.sub(r"\b(pod|instance|job)=", r"was_\1=", labels)
        series["series"] = f"{metric}{{{TARGET}{',' if own else ''}{own}}}"
    at = test.pop("promql_expr_test")[0]["eval_time"]
    # That nothing fires is wrong, and so promtool prints what does.
    test["alert_rule_test"] = [{"eval_time": at, "alertname": alert, "exp_alerts": []}]
    rules = {"rule_files": [str(PLACE / "rules.yaml")], "tests": [test]}
    path = folder / "test.yaml"
    path.write_text(json.dumps(rules | {"evaluation_interval": content["evaluation_interval"]}))
    said = tool("promtool", "test", "rules", str(path), status=1)
    (labels,) = re.findall(r"Labels:{(.*?)}", said)
    return dict(re.findall(r'(\w+)="([^"]*)"', labels))


def test_there_are_alerts_that_retrain() -> None:
    assert set(RETRAIN) == {"MoodlineDrift", "MoodlineLabelShift", "MoodlineModelStale"}


@pytest.mark.parametrize("alert", RETRAIN)
def test_an_alert_that_should_retrain_reaches_the_trigger(
    alert: str, documents: list[dict[str, Any]], tmp_path: Path
) -> None:
    labels = firing_labels(alert, tmp_path)
    assert labels["alertname"] == alert
    assert not labels.keys() & {"pod", "instance", "container"}
    config = tmp_path / "alertmanager.yaml"
    config.write_text(yaml.safe_dump(operator_config(documents)))
    asked = ("config", "routes", "test", f"--config.file={config}")
    routed = [f"{name}={value}" for name, value in labels.items()]
    assert tool("amtool", *asked, *routed).strip() == "moodline/moodline/trigger"


def test_what_should_not_retrain_does_not(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    config = tmp_path / "alertmanager.yaml"
    config.write_text(yaml.safe_dump(operator_config(documents)))
    asked = ("config", "routes", "test", f"--config.file={config}", "namespace=moodline")
    assert tool("amtool", *asked, "severity=ticket").strip() == "null"


def test_every_alert_names_the_namespace_that_it_is_of(documents: list[dict[str, Any]]) -> None:
    (rules,) = (d for d in documents if d["kind"] == "PrometheusRule")
    alerts = [
        rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule
    ]
    assert {rule["labels"]["namespace"] for rule in alerts} == {rules["metadata"]["namespace"]}
