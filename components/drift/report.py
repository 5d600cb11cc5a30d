"""The comparison as one HTML file for people: no script, nothing fetched, light and dark."""

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from components.conversation import EMOTIONS
from components.drift.judge import Feature, Verdict
from components.drift.sample import Reference, Sample
from components.reporting.turns_page import COLOURS, NOTICE

TEMPLATE = Path(__file__).with_name("report.html.j2")

NAMES = {
    "emotion": "Emotions answered",
    "confidence": "Confidence",
    "duration": "Length of turns (s)",
    "words_per_second": "Words a second",
    "loudness_db": "Loudness (dB)",
    "snr_db": "Signal to noise (dB)",
    "asr_confidence": "ASR confidence",
    "embedding": "Embeddings",
}

STATISTICS = {
    "share": "largest change of a share",
    "ks": "Kolmogorov–Smirnov",
    "mmd2": "squared maximum mean discrepancy",
}

BINS = 24


def report_page(
    verdict: Verdict,
    reference: Reference,
    window: Sample,
    *,
    version: str,
    since: datetime | None,
    until: datetime | None,
    lost: str = "",
    live: Mapping[str, Any],
) -> str:
    """Render the report.

    Args:
        version: the model version that is watched.
        since, until: the window's ends.
        lost: what of the log could not be read, in words.
        live: of `live_scores`.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": lambda v: "–" if v is None else f"{100 * v:.1f} %"}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        v=verdict,
        version=version,
        since=f"{since:%Y-%m-%d %H:%M}" if since else "the log's beginning",
        until=f"{until:%Y-%m-%d %H:%M}" if until else "now",
        lost=lost,
        features=[
            {
                "feature": feature,
                "name": NAMES[feature.name],
                "bars": _bars(feature, reference.of(feature.name), window),
            }
            for feature in verdict.features
        ],
        live=live,
        statistics=STATISTICS,
        emotions=EMOTIONS,
        colours=COLOURS,
        notice=NOTICE,
    )


def _bars(feature: Feature, reference: Sample, window: Sample) -> list[dict[str, Any]]:
    """Both sides' histograms: for each bin its name and two shares, relative to the highest."""
    if feature.name == "embedding" or not feature.reference or not feature.window:
        return []
    if feature.name == "emotion":
        names: list[str] = list(EMOTIONS)
        shares = [[side[e] for e in EMOTIONS] for side in (feature.reference, feature.window)]
    else:
        known = [s.features[feature.name] for s in (reference, window)]
        known = [values[np.isfinite(values)] for values in known]
        low, high = np.quantile(np.concatenate(known), [0.005, 0.995])
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
        names = [f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges)]
        shares = [
            (np.histogram(np.clip(values, low, edges[-1]), edges)[0] / len(values)).tolist()
            for values in known
        ]
    highest = max(max(side) for side in shares) or 1.0
    return [
        {"name": name, "reference": a, "window": b, "heights": (a / highest, b / highest)}
        for name, a, b in zip(names, *shares, strict=True)
    ]
