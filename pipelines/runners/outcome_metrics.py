"""Gauges of how retrainings ended and what the last gate said, for Prometheus to scrape later."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.base import atomic_path
from components.scoring import Check

FINISHED = "moodline_retrain_finished_timestamp_seconds"
VALUE = "moodline_gate_value"
PASSED = "moodline_gate_passed"

FILE = "retrain.prom"
"""What holds them in the folder of such files."""

NAMES = {
    FINISHED: "When a retraining ended last with this decision of its gate; error: a step failed.",
    VALUE: "What the last gate measured for a check; its direction is the check's.",
    PASSED: "1 if the check passed at the last gate, 0 if it failed or could not be told.",
}
"""Every gauge and what it says."""

LABELS = {FINISHED: ("decision",), VALUE: ("check",), PASSED: ("check",)}
"""Their labels."""


def record_outcome(
    path: Path, decision: str, at: float | None = None, checks: Sequence[Check] = ()
) -> None:
    """Note in a `.prom` file that a retraining ended; the times of other decisions stay.

    Args:
        path: the file, written whole or not at all.
        decision: "pass", "fail", "inconclusive" or "error".
        at: when, in seconds since 1970; default: now.
        checks: of its gate; where there was none, those of the gate before stay.
    """
    gauges = _read(path)
    gauges[FINISHED][decision] = time.time() if at is None else at
    if checks:
        gauges |= _of_gate(checks)
    with atomic_path(path) as temporary:
        temporary.write_bytes(_exposition(gauges))


def exposition(ended: Mapping[str, float], checks: Sequence[Check] = ()) -> bytes:
    """The gauges as Prometheus reads them.

    Args:
        ended: when a retraining ended last with a decision, in seconds since 1970.
        checks: of the last gate.
    """
    return _exposition({FINISHED: ended, **_of_gate(checks)})


def _of_gate(checks: Sequence[Check]) -> dict[str, dict[str, float]]:
    return {
        VALUE: {check.name: check.value for check in checks if check.value is not None},
        PASSED: {check.name: float(check.result == "pass") for check in checks},
    }


def _exposition(gauges: Mapping[str, Mapping[str, float]]) -> bytes:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    for name, samples in gauges.items():
        gauge = Gauge(name, NAMES[name], LABELS[name], registry=registry)
        for label, value in samples.items():
            gauge.labels(label).set(value)
    return generate_latest(registry)


def _read(path: Path) -> dict[str, dict[str, float]]:
    """What the file says: each gauge's values by its label."""
    from prometheus_client.parser import text_string_to_metric_families

    gauges: dict[str, dict[str, float]] = {name: {} for name in NAMES}
    if path.is_file():
        for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
            for sample in family.samples:
                (label,) = sample.labels.values()
                gauges[sample.name][label] = sample.value
    return gauges
