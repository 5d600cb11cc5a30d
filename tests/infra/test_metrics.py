"""The tables of docs/metrics.md and the code name the same ones."""

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from components.drift import gauges as drift
from pipelines.runners import outcome_metrics as outcomes
from pipelines.trigger import metrics as trigger
from serving import metrics as service

TABLE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_every_metric_is_in_the_table_with_its_labels() -> None:
    documented = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `moodline_"):
            names, labels, what = (cell.strip() for cell in line.strip("|").split("|"))
            assert what
            for name in re.findall(r"`(\w+)`", names):
                assert name not in documented, name
                documented[name] = set(re.findall(r"\w+", labels))
    made = {}
    for module in (service, trigger):
        for metric in vars(module).values():
            if isinstance(metric, MetricWrapperBase):
                (family,) = metric.describe()
                end = "_total" if family.type == "counter" else ""
                made[family.name + end] = {*metric._labelnames}
    for left in (drift, outcomes):
        made |= {name: set(left.LABELS.get(name, ())) for name in left.NAMES}
    assert documented == made
