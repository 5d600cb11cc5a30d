"""Metrics as `evaluate` gives them, and a gate that asks for every check."""

from typing import Any

from components.config import GateSettings
from components.scoring import Verdict


def compared(
    difference: float, low: float | None, high: float | None, conversations: int = 20
) -> dict[str, Any]:
    bounds = {"lower_bound": low, "upper_bound": high}
    return {"difference": difference, **bounds, "conversations": conversations}


def part(rate: float, total: int) -> dict[str, Any]:
    return {"accuracy": {"rate": rate, "total": total}}


def share(rate: float) -> dict[str, Any]:
    """With an interval by conversation."""
    return {"rate": rate, "interval": {"low": rate - 0.05, "high": rate + 0.05}}


def f1(rate: float, reference: int = 200) -> dict[str, Any]:
    return {"f1": rate, "reference": reference, "answered": reference}


def numbers(**changes: Any) -> dict[str, Any]:
    """Metrics as `evaluate` gives them, with changes by their path (`__` between the steps)."""
    metrics: dict[str, Any] = {
        "model": "d1",
        "recordings": 20,
        "accuracy": {"rate": 0.70, "total": 800},
        "macro_f1": share(0.60),
        "emotions": {
            "angry": f1(0.8),
            "happy": f1(0.5),
            "neutral": f1(0.6),
            "sad": f1(0.7),
        },
        "scores": {"wu2023": {"teer": share(0.25), "steer": share(0.30)}},
        "calibration": {"ece": 0.10, "least_ece": 0.05},
        "champion": {
            "accuracy": {"rate": 0.67},
            "macro_f1": {"rate": 0.61},
            "scores": {"wu2023": {"teer": {"rate": 0.24}, "steer": {"rate": 0.33}}},
        },
        "comparison": {
            "accuracy": compared(0.03, -0.01, 0.07),
            "macro_f1": compared(-0.01, -0.04, 0.02),
            "teer": compared(0.01, -0.02, 0.04),
            "steer": compared(-0.03, -0.08, 0.02),
            "differing": 9,
            "differing_turns": 11,
        },
        "slices": {
            "sex": {"F": part(0.66, 300), "M": part(0.74, 260)},
            "fold": {"one": part(0.70, 560)},
            "style": {"improvised": part(0.75, 280), "scripted": part(0.65, 280)},
            "length": {"long": part(0.80, 120), "short": part(0.67, 440)},
            "asr_confidence": {"high": part(0.72, 440), "low": part(0.58, 120)},
            "columns.customer": {"acme": part(0.66, 300), "zenith": part(0.80, 60)},
        },
        "behaviour": {
            name: {"rate": 0.95, "total": 200}
            for name in ("silence", "volume", "case", "punctuation", "filler")
        },
        "served": {
            "megabytes": 80.0,
            "latency": {"turns": 20, "p95_ms": 90.0, "times_production": 1.1},
        },
    }
    for path, value in changes.items():
        *way, last = path.split("__")
        parent = metrics
        for key in way:
            parent = parent[key]
        parent[last] = value
    return metrics


EVERY_CHECK: dict[str, Any] = {
    "min_accuracy": 0.5,
    "min_macro_f1": 0.4,
    "min_f1": 0.45,
    "max_teer": 0.3,
    "max_steer": 0.35,
    "max_ece": 0.15,
    "no_regression": {"accuracy": 0.05, "macro_f1": 0.05, "teer": 0.05, "steer": 0.05},
    "slices": {
        name: {"min_accuracy": 0.55} for name in ("sex", "fold", "style", "length")
    } | {
        "asr_confidence": {"min_accuracy": 0.5},
        "columns": {"customer": {"min_accuracy": 0.6}},
    },
    "behaviour": dict.fromkeys(("silence", "volume", "case", "punctuation", "filler"), 0.9),
    "latency": {"max_p95_ms": 100, "max_times_production": 1.5},
    "max_megabytes": 100,
}  # fmt: skip


SETTINGS = GateSettings.model_validate(EVERY_CHECK)


def deciding(name: str) -> GateSettings:
    asked = EVERY_CHECK["no_regression"] | {"decides": name}
    return GateSettings.model_validate(EVERY_CHECK | {"no_regression": asked})


def not_passing(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.result for check in verdict.checks if check.result != "pass"}
