"""A verdict as Prometheus gauges: for a scrape, or for node_exporter's textfile collector."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from components.drift.judge import DriftVerdict

NAMES = {
    "moodline_drift_checked_timestamp_seconds": "When drift was looked for last.",
    "moodline_version_registered_timestamp_seconds": "When the version compared was registered.",
    "moodline_drift_judged": "1 if the last window was large enough to judge, else 0.",
    "moodline_drift_detected": "1 if the last window has drifted from this version's, else 0.",
    "moodline_drift_feature_detected": "1 if this feature has drifted, else 0.",
    "moodline_drift_effect": "How far a feature is from the reference, beyond chance.",
    "moodline_drift_p_value": "Of a feature's difference, corrected for the number of features.",
    "moodline_drift_window_turns": "Turns in the last window.",
    "moodline_drift_window_recordings": "Recordings in the last window.",
    "moodline_drift_emotion_share": "Share of an emotion in the window and in the reference.",
    "moodline_live_accuracy": "Accuracy on the turns that people gave feedback on.",
    "moodline_live_macro_f1": "Macro F1 on the same turns.",
    "moodline_live_turns": "How many turns those are.",
}
"""Every gauge and what it says."""

LABELS: dict[str, tuple[str, ...]] = {
    "moodline_version_registered_timestamp_seconds": ("version",),
    "moodline_drift_detected": ("version",),
    "moodline_drift_feature_detected": ("feature",),
    "moodline_drift_effect": ("feature", "statistic"),
    "moodline_drift_p_value": ("feature",),
    "moodline_drift_emotion_share": ("emotion", "side", "version"),
    "moodline_live_accuracy": ("version",),
    "moodline_live_macro_f1": ("version",),
    "moodline_live_turns": ("version",),
}
"""The labels of those that have any."""


def no_version_gauges(at: datetime) -> bytes:
    """The gauges where no version is in production: drift was looked for, and that is all."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    name = "moodline_drift_checked_timestamp_seconds"
    Gauge(name, NAMES[name], registry=registry).set(at.timestamp())
    return generate_latest(registry)


def drift_gauges(
    verdict: DriftVerdict,
    live: Mapping[str, Any],
    at: datetime,
    version: int | None,
    registered: datetime | None,
) -> bytes:
    """The gauges of a verdict, in Prometheus' text format.

    Args:
        live: of `live_scores`.
        at: when the window was compared.
        version: the version it was compared with.
        registered: when that version was registered.
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    gauges = {
        name: Gauge(name, text, LABELS.get(name, ()), registry=registry)
        for name, text in NAMES.items()
    }
    gauges["moodline_drift_checked_timestamp_seconds"].set(at.timestamp())
    if version is not None and registered is not None:
        name = "moodline_version_registered_timestamp_seconds"
        gauges[name].labels(version).set(registered.timestamp())
    gauges["moodline_drift_judged"].set(verdict.decision != "too_small")
    compared = "unknown" if version is None else str(version)
    gauges["moodline_drift_detected"].labels(compared).set(verdict.decision == "drift")
    gauges["moodline_drift_window_turns"].set(verdict.turns)
    gauges["moodline_drift_window_recordings"].set(verdict.recordings)
    for feature in verdict.features:
        gauges["moodline_drift_feature_detected"].labels(feature.name).set(feature.drifted)
        if feature.effect is not None and feature.adjusted is not None:
            effect = gauges["moodline_drift_effect"].labels(feature.name, feature.statistic)
            effect.set(feature.effect)
            gauges["moodline_drift_p_value"].labels(feature.name).set(feature.adjusted)
        if feature.name == "emotion":
            for side, shares in (("reference", feature.reference), ("window", feature.window)):
                for emotion, share in shares.items():
                    about = (emotion, side, compared)
                    gauges["moodline_drift_emotion_share"].labels(*about).set(share)
    for number, scores in live.items():
        gauges["moodline_live_turns"].labels(number).set(scores["turns"])
        gauges["moodline_live_accuracy"].labels(number).set(scores["accuracy"]["rate"])
        gauges["moodline_live_macro_f1"].labels(number).set(scores["macro_f1"])
    return generate_latest(registry)
