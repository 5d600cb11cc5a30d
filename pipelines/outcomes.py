"""When a retraining ended last, and how: gauges for node_exporter's textfile collector."""

import re
import time
from pathlib import Path

from components.conversation import atomic_path

FINISHED = "moodline_retrain_finished_timestamp_seconds"
"""When a retraining ended last with this decision of its gate; `error` where a step failed."""

_LINE = re.compile(rf'{FINISHED}{{decision="(\w+)"}} (\S+)')


def record_outcome(path: Path, decision: str, at: float | None = None) -> None:
    """Note that a retraining ended; the times of other decisions stay.

    Args:
        path: the `.prom` file, written whole or not at all.
        decision: "pass", "fail", "inconclusive" or "error".
        at: when, in seconds since 1970; default: now.
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    before = _LINE.findall(path.read_text(encoding="utf-8")) if path.is_file() else []
    times = {name: float(value) for name, value in before}
    times[decision] = time.time() if at is None else at
    registry = CollectorRegistry()
    gauge = Gauge(FINISHED, "When a retraining ended last.", ["decision"], registry=registry)
    for name, value in times.items():
        gauge.labels(name).set(value)
    with atomic_path(path) as temporary:
        temporary.write_bytes(generate_latest(registry))
