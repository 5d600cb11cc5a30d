"""The rules hold, by Prometheus' own tools; every alert is tested; every metric exists."""

import re
import runpy
import subprocess
from pathlib import Path

import prometheus_client
import pytest
import yaml

from components.config import Settings
from components.drift.gauges import NAMES
from components.scoring import Check
from pipelines.runners import outcome_metrics as outcomes
from pipelines.runners.outcome_metrics import FINISHED, record_outcome

PLACE = Path(__file__).resolve().parents[2] / "infra" / "prometheus"
TOOLS = Settings().home / "prometheus" / "usr" / "bin"
RULES = [
    rule
    for group in yaml.safe_load((PLACE / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]


def tool(name: str, *arguments: str, status: int = 0) -> str:
    """Run a tool of Prometheus in the folder of its files; what it prints, or says of a failure."""
    done = subprocess.run(
        [TOOLS.resolve() / name, *arguments],
        cwd=PLACE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr if status else done.stdout


def test_the_operator_is_given_the_same_rules() -> None:
    """`make rules` writes them anew."""
    made = runpy.run_path(str(PLACE.parent / "setup" / "rules.py"))
    assert made["WRAPPED"].read_text() == made["wrapped"]((PLACE / "rules.yaml").read_text())
    inside = yaml.safe_load(made["WRAPPED"].read_text())["spec"]
    assert inside == yaml.safe_load((PLACE / "rules.yaml").read_text())


def test_rules_and_routes_are_well_formed() -> None:
    assert f"{len(RULES)} rules found" in tool("promtool", "check", "rules", "rules.yaml")
    assert "SUCCESS" in tool("amtool", "check-config", "alertmanager.yaml")
    assert "SUCCESS" in tool("promtool", "check", "config", "prometheus.yaml")


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (["severity=page"], "pager"),
        (["severity=ticket"], "team"),
        (["severity=ticket", "retrain=true"], "trigger,team"),
        (["severity=ticket", "retrain=false"], "team"),
    ],
)
def test_alerts_go_where_they_should(labels: list[str], receivers: str) -> None:
    route = ("config", "routes", "test", "--config.file=alertmanager.yaml")
    assert tool("amtool", *route, *labels).strip() == receivers


@pytest.mark.parametrize("tests", ["rules_test.yaml", "rules_days_test.yaml"])
def test_alerts_fire_on_what_they_are_for_and_on_nothing_near(tests: str) -> None:
    assert "SUCCESS" in tool("promtool", "test", "rules", tests)


def test_every_alert_is_tested_both_ways_and_says_what_to_do() -> None:
    tests = "".join(path.read_text() for path in PLACE.glob("rules*_test.yaml"))
    alerts = [rule for rule in RULES if "alert" in rule]
    assert len(alerts) >= 12
    for alert in alerts:
        assert alert["annotations"]["runbook"].endswith(".")
        assert alert["labels"]["severity"] in ("page", "ticket")
        asked = tests.split(f'alertname="{alert["alert"]}"')[1:]
        fires = [part.split("exp_samples:")[1].lstrip(" ").startswith("\n") for part in asked]
        assert set(fires) == {False, True} and fires.count(True) == 1, alert["alert"]


def test_every_metric_exists() -> None:
    from serving import metrics  # noqa: F401  # it registers them

    known = {*NAMES, *outcomes.NAMES}
    for family in prometheus_client.REGISTRY.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        known |= {family.name + end for end in ends.get(family.type, [""])}
    asked = {name for rule in RULES for name in re.findall(r"\bmoodline_\w+", rule["expr"])}
    assert len(asked) > 10
    assert asked <= known
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    used = {name for rule in RULES for name in re.findall(r"moodline:\w+:\w+", rule["expr"])}
    assert used <= recorded


def test_outcomes_of_retrainings_are_kept_by_decision(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "retrain.prom"
    checks = [
        Check("min_accuracy", 0.7, "at least", 0.6, "pass", "accuracy is 0.7"),
        Check("slices.sex.F", None, "at least", 0.5, "inconclusive", "nobody"),
    ]
    record_outcome(path, "pass", 1000.0, [Check("min_accuracy", 0.9, "at least", 0.6, "pass", "")])
    record_outcome(path, "fail", 2000.0, checks)
    record_outcome(path, "fail", 3000.0)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert lines == [
        f'{FINISHED}{{decision="pass"}} 1000.0',
        f'{FINISHED}{{decision="fail"}} 3000.0',
        'moodline_gate_value{check="min_accuracy"} 0.7',
        'moodline_gate_passed{check="min_accuracy"} 1.0',
        'moodline_gate_passed{check="slices.sex.F"} 0.0',
    ]
