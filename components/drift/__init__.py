"""Drift: is today's traffic still like what the version in production was made on?

A window of the prediction log is compared with the version's own reference, feature by feature, by
exchanging whole recordings. How right the answers were, as far as people told, stands beside it.
"""

from components.drift.drift import DriftResult, drift
from components.drift.gauges import drift_gauges, write_gauges
from components.drift.judge import DriftSettings, Feature, Verdict, judge
from components.drift.live import live_scores
from components.drift.sample import Reference, Sample, read_reference, to_sample

__all__ = [
    "DriftResult",
    "DriftSettings",
    "Feature",
    "Reference",
    "Sample",
    "Verdict",
    "drift",
    "drift_gauges",
    "judge",
    "live_scores",
    "read_reference",
    "to_sample",
    "write_gauges",
]
