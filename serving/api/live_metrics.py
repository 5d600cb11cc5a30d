"""The service's own metrics in short, for a page that a person looks at."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.multiprocess import MultiProcessCollector

Sample = tuple[Mapping[str, str], float]
"""Its labels and its value."""


def live_metrics() -> dict[str, Any]:
    """Sums over the workers since the service was started; see `docs/metrics.md` for each.

    Returns:
        `requests` (of answers under /v1, `failed` those of 5xx), `seconds` (of these answers, the
        sum), `waiting`, `oldest_job_seconds`, `audio_seconds`, `emotions` (turns by label),
        `mean_confidence` (None before the first turn), `uncertain`, `model_seconds` (mean by role),
        `canary` and `shadow` (by outcome), `triton_failures`, `feedback` (by outcome).
    """
    samples = _samples(_registry().collect())
    requests = _asked(samples["moodline_requests_total"])
    seconds = _asked(samples["moodline_request_seconds_sum"])
    turns = _sum(samples["moodline_confidence_count"])
    asked = _by(samples["moodline_model_seconds_count"], "role")
    took = _by(samples["moodline_model_seconds_sum"], "role")
    return {
        "requests": _sum(requests),
        "failed": sum(value for labels, value in requests if labels["status"].startswith("5")),
        "seconds": _sum(seconds),
        "waiting": _sum(samples["moodline_waiting"]),
        "oldest_job_seconds": _sum(samples["moodline_oldest_job_seconds"]),
        "audio_seconds": _sum(samples["moodline_audio_seconds_total"]),
        "emotions": _by(samples["moodline_emotions_total"], "emotion"),
        "mean_confidence": _sum(samples["moodline_confidence_sum"]) / turns if turns else None,
        "uncertain": _sum(samples["moodline_uncertain_total"]),
        "model_seconds": {role: took[role] / count for role, count in asked.items() if count},
        "canary": _by(samples["moodline_canary_total"], "outcome"),
        "shadow": _by(samples["moodline_shadow_total"], "outcome"),
        "triton_failures": _sum(samples["moodline_triton_failures_total"]),
        "feedback": _by(samples["moodline_feedback_total"], "outcome"),
    }


def _registry() -> CollectorRegistry:
    """Of all workers, where several share a folder of their numbers; else of this process."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


def _samples(families: Iterable[Metric]) -> Mapping[str, list[Sample]]:
    found: defaultdict[str, list[Sample]] = defaultdict(list)
    for family in families:
        for sample in family.samples:
            found[sample.name].append((sample.labels, sample.value))
    return found


def _asked(samples: Iterable[Sample]) -> list[Sample]:
    """Those of the API, without who looks at its numbers."""
    paths = ((labels.get("path", ""), labels, value) for labels, value in samples)
    return [
        (labels, value)
        for path, labels, value in paths
        if path.startswith("/v1/") and not path.startswith("/v1/operations")
    ]


def _sum(samples: Iterable[Sample]) -> float:
    return sum(value for _, value in samples)


def _by(samples: Iterable[Sample], label: str) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for labels, value in samples:
        sums[labels[label]] += value
    return dict(sums)
