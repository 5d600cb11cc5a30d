"""The dashboard: queries that Prometheus can read, on metrics and labels that exist.

Triton's own metrics are held against a real Triton in `tests/serving/triton/test_server.py`.
"""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from components.config import Settings
from components.drift import gauges as drift
from pipelines.runners import outcome_metrics as outcomes
from tests.infra.queries import DASHBOARD, Query, queries, selected

ROOT = DASHBOARD.parents[2]
ENDS = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}


def defined(module: ModuleType) -> dict[str, set[str]]:
    """The series that a module's metrics make, each with its labels."""
    labels_of: dict[str, set[str]] = {}
    for metric in vars(module).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            for end in ENDS[family.type]:
                labels = {*metric._labelnames, *(["le"] if end == "_bucket" else [])}
                labels_of[family.name + end] = labels
    return labels_of


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    from pipelines.trigger import metrics as trigger
    from serving import metrics as service

    labels_of = {**defined(service), **defined(trigger)}
    for gauges in (drift, outcomes):
        labels_of |= {name: set(gauges.LABELS.get(name, ())) for name in gauges.NAMES}
    rules = yaml.safe_load((ROOT / "infra" / "prometheus" / "rules.yaml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        if "record" in rule:
            kept = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
            labels_of[rule["record"]] = set(re.findall(r"\w+", " ".join(kept)))
    return labels_of


@pytest.fixture(scope="module")
def asked() -> list[Query]:
    return queries()


def test_prometheus_can_read_every_query(asked: list[Query], tmp_path: Path) -> None:
    rules = [{"record": f"panel:{n}", "expr": query.expr} for n, query in enumerate(asked)]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool = Settings().home.resolve() / "prometheus" / "usr" / "bin" / "promtool"
    done = subprocess.run(
        [promtool, "check", "rules", path], capture_output=True, text=True, timeout=60, check=False
    )
    assert f"{len(asked)} rules found" in done.stdout, done.stderr


def test_every_query_names_metrics_and_labels_that_exist(
    asked: list[Query], known: dict[str, set[str]]
) -> None:
    assert len(asked) > 50
    for query in asked:
        metrics = selected(query.expr)
        assert metrics, query
        for name, labels in metrics.items():
            if not name.startswith("nv_"):
                assert name in known, query
                assert labels <= known[name], query


def test_a_legend_names_what_its_query_keeps(
    asked: list[Query], known: dict[str, set[str]]
) -> None:
    for query in asked:
        by = re.search(r"\bby \(([^)]*)\)", query.expr)
        if by is not None:
            kept = set(re.findall(r"\w+", by[1]))
        elif re.search(r"\b(sum|max|min)\b", query.expr):
            kept = set()
        else:
            kept = set().union(*(known[name] for name in selected(query.expr)))
        assert query.legend <= kept, query


def test_everything_that_is_counted_is_shown(
    asked: list[Query], known: dict[str, set[str]]
) -> None:
    shown = {name for query in asked for name in selected(query.expr)}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in known if ":" not in name}
    assert families <= {re.sub("_(bucket|sum|count)$", "", name) for name in shown}


def test_a_query_on_what_is_not_there_is_found() -> None:
    labels = selected('sum by (path) (rate(moodline_gone_total{kind=~"a,b=c"}[5m])) / on () nv_x')
    assert labels == {"moodline_gone_total": {"kind", "path"}, "nv_x": frozenset()}


def test_panels_lie_beside_each_other_and_have_words() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart = [
            one[at] + one[size] <= other[at] or other[at] + other[size] <= one[at]
            for at, size in (("x", "w"), ("y", "h"))
        ]
        assert any(apart), (one, other)
