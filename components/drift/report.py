"""The comparison as one HTML file for people: no script, nothing fetched, light and dark."""

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.drift.judge import DriftVerdict, FeatureDrift
from components.drift.sample import Reference, Sample
from components.reporting.charts import histograms_chart
from components.reporting.page import render

if TYPE_CHECKING:
    from markupsafe import Markup

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

SIDE_COLOURS = {"reference": "#8d99ae", "window": "#3f7cac"}


def report_page(
    verdict: DriftVerdict,
    reference: Reference,
    window: Sample,
    version: str,
    since: datetime | None,
    until: datetime | None,
    live: Mapping[str, Any],
) -> str:
    """Render the report on a model version; `live` is what `live_scores` gave."""
    return render(
        TEMPLATE,
        v=verdict,
        version=version,
        since=f"{since:%Y-%m-%d %H:%M}" if since else "the log's beginning",
        until=f"{until:%Y-%m-%d %H:%M}" if until else "now",
        features=[
            {
                "feature": feature,
                "name": NAMES[feature.name],
                "chart": _histograms(feature, reference.of(feature.name), window),
            }
            for feature in verdict.features
        ],
        live=live,
        statistics=STATISTICS,
        side_colours=SIDE_COLOURS,
    )


def _histograms(feature: FeatureDrift, reference: Sample, window: Sample) -> "Markup | None":
    """Both sides' histograms; None where there is nothing to draw."""
    if feature.name == "embedding" or not feature.reference or not feature.window:
        return None
    if feature.name == "emotion":
        names = list(feature.reference)
        shares = [[side[name] for name in names] for side in (feature.reference, feature.window)]
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
    sides = zip(SIDE_COLOURS.items(), shares, strict=True)
    bars = {side: (colour, values) for (side, colour), values in sides}
    return histograms_chart(NAMES[feature.name], names, bars)
