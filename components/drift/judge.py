"""Whether a window of traffic is still like what the model version was made on."""

from dataclasses import asdict, dataclass
from math import comb
from typing import Any, Literal

import numpy as np

from components.conversation import EMOTIONS
from components.drift.sample import FEATURES, Reference, Sample
from components.drift.statistics import (
    Difference,
    Distance,
    below,
    by_recording,
    compare,
    holm,
    kolmogorov_smirnov,
    largest_share_change,
    population_stability,
    squared_mmd,
    waves,
)

Decision = Literal["ok", "drift", "too_small"]

SHARE, KS, MMD = "share", "ks", "mmd2"

WEIGHTS = {"emotion": 6.0}
"""How much of the chance of a false alarm a feature may use up; the others' weight is 1. When the
world changes its mood only the emotions tell, and faintly: recordings differ a lot in them. Another
microphone shows in several features, plainly."""


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """When a window has drifted: a feature's difference must be sure, and large enough to matter.

    Attributes:
        alpha: the chance, at most, that a window like the reference is called drifted.
        draws: random exchanges of recordings.
        min_turns: a smaller window is not judged.
        min_recordings: one with fewer recordings is not either.
        min_effect: by statistic, the smallest difference beyond chance that matters.
        seed: of the exchanges.
    """

    alpha: float = 0.0075
    draws: int = 5000
    min_turns: int = 100
    min_recordings: int = 8
    min_share: float = 0.03
    min_ks: float = 0.08
    min_mmd2: float = 0.002
    seed: int = 20260131


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature's comparison.

    Attributes:
        name: one of `FEATURES`.
        statistic: "share", "ks" or "mmd2".
        value: of the statistic.
        effect: what of it is beyond chance.
        p_value: by exchanging recordings; None where the feature was not judged.
        adjusted: the same, Holm-corrected for there being several features, by `WEIGHTS`.
        drifted: sure and large enough.
        reference, window: mean, and 10 %, 50 %, 90 % quantiles; of emotions their shares; of
            embeddings nothing.
        turns: of the window with this feature known.
        psi: population stability index over emotions, or over the reference's tenths; a number
            that many know, not what is judged by. None for embeddings.
        why_not: why it was not judged; empty if it was.
    """

    name: str
    statistic: str
    value: float | None
    effect: float | None
    p_value: float | None
    adjusted: float | None
    drifted: bool
    reference: dict[str, float]
    window: dict[str, float]
    turns: int
    psi: float | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a window.

    Attributes:
        decision: "ok", "drift" or "too_small"; the last is no judgement.
        reason: one line.
        features: in the order of `FEATURES`.
        turns, recordings: of the window.
        reference_turns, reference_recordings: what it was compared with.
        settings: how it was judged.
    """

    decision: Decision
    reason: str
    features: tuple[Feature, ...]
    turns: int
    recordings: int
    reference_turns: int
    reference_recordings: int
    settings: DriftSettings

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the features that have drifted."""
        return tuple(feature.name for feature in self.features if feature.drifted)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self) | {"drifted": list(self.drifted)}


def judge(reference: Reference, window: Sample, settings: DriftSettings | None = None) -> Verdict:
    """Compare a window with a reference, feature by feature.

    A feature is left out where too few turns of either side have it, or where there are so few
    recordings that no exchange of them could be rare enough to prove anything.
    """
    settings = settings or DriftSettings()
    recordings = _count(window)
    found = [_compare(name, reference.of(name), window, settings) for name in FEATURES]
    judged = [feature for feature in found if feature[1] is not None]
    small = len(window) < settings.min_turns or recordings < settings.min_recordings
    if small or not judged:
        reason = (
            f"{len(window)} turns of {recordings} recordings are too few to judge; it takes"
            f" {settings.min_turns} turns of {settings.min_recordings} recordings"
            if small
            else f"{_count(reference.every)} recordings in the reference are too few to judge by"
        )
        features = tuple(_feature(feature, None, None, settings) for feature, _ in found)
        decision: Decision = "too_small"
    else:
        names = [feature["name"] for feature, _ in judged]
        p_values = [difference.p_value for _, difference in judged if difference]
        weights = [WEIGHTS.get(name, 1.0) for name in names]
        adjusted = dict(zip(names, holm(p_values, weights), strict=True))
        features = tuple(
            _feature(feature, difference, adjusted.get(feature["name"]), settings)
            for feature, difference in found
        )
        names = [feature.name for feature in features if feature.drifted]
        decision = "drift" if names else "ok"
        reason = (
            f"{', '.join(names)} {'have' if len(names) > 1 else 'has'} drifted"
            if names
            else f"{len(judged)} features are as in the reference"
        )
    return Verdict(
        decision,
        reason,
        features,
        len(window),
        recordings,
        len(reference.every),
        _count(reference.every),
        settings,
    )


def _count(sample: Sample) -> int:
    return len({*sample.recordings})


def _compare(
    name: str, reference: Sample, window: Sample, settings: DriftSettings
) -> tuple[dict[str, Any], Difference | None]:
    """A feature's description, and its difference where it can be judged."""
    sides = [_known(sample, name) for sample in (reference, window)]
    described = [_describe(name, side) for side in sides]
    statistic = SHARE if name == "emotion" else MMD if name == "embedding" else KS
    feature: dict[str, Any] = {
        "name": name,
        "statistic": statistic,
        "reference": described[0],
        "window": described[1],
        "turns": len(sides[1]),
    }
    counts = [_count(side) for side in sides]
    if not len(sides[0]) or not len(sides[1]):
        where = "reference" if not len(sides[0]) else "window"
        return feature | {"why_not": f"not known in the {where}"}, None
    # Of all ways to exchange recordings the real one must be able to stand out.
    share = WEIGHTS.get(name, 1.0) / sum(WEIGHTS.get(other, 1.0) for other in FEATURES)
    if 1 / comb(sum(counts), counts[0]) > share * settings.alpha:
        why = f"{counts[0]} and {counts[1]} recordings are too few"
        return feature | {"why_not": why}, None
    if name != "embedding":
        feature["psi"] = _psi(name, sides)
    (before, now), distance = _vectors(name, sides, settings.seed)
    difference = compare(
        by_recording(sides[0].recordings, before),
        by_recording(sides[1].recordings, now),
        distance,
        draws=settings.draws,
        seed=settings.seed,
        level=settings.alpha,
    )
    return feature, difference


def _psi(name: str, sides: list[Sample]) -> float:
    values = [side.features[name] for side in sides]
    if name == "emotion":
        bins, size = [v.argmax(axis=1) for v in values], len(EMOTIONS)
    else:
        edges = np.quantile(values[0], np.arange(1, 10) / 10)
        bins, size = [np.searchsorted(edges, v) for v in values], 10
    first, second = (np.append(np.bincount(b, minlength=size), len(b)) for b in bins)
    return float(population_stability(first, second))


def _known(sample: Sample, name: str) -> Sample:
    """The turns whose feature is known."""
    if name not in sample.features:
        return sample.where(np.zeros(len(sample), bool))
    values = sample.features[name]
    known = np.isfinite(values)
    return sample.where(known if known.ndim == 1 else known.all(axis=1))


def _vectors(
    name: str, sides: list[Sample], seed: int
) -> tuple[tuple[np.ndarray, np.ndarray], Distance]:
    """What is summed over turns for a feature, and the statistic of the sums."""
    first, second = (side.features[name] for side in sides)
    both = np.concatenate([first, second])
    if name == "emotion":
        return (first, second), largest_share_change
    if name == "embedding":
        return (waves(first, both, seed=seed), waves(second, both, seed=seed)), squared_mmd
    return (below(first, both), below(second, both)), kolmogorov_smirnov


def _describe(name: str, side: Sample) -> dict[str, float]:
    if name == "embedding" or not len(side):
        return {}
    values = side.features[name]
    if name == "emotion":
        answers = values.argmax(axis=1)
        return {e: float((answers == place).mean()) for place, e in enumerate(EMOTIONS)}
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    found = {"mean": values.mean(), "p10": low, "p50": middle, "p90": high}
    return {key: float(value) for key, value in found.items()}


def _feature(
    described: dict[str, Any],
    difference: Difference | None,
    adjusted: float | None,
    settings: DriftSettings,
) -> Feature:
    if difference is None:
        blank = dict.fromkeys(("value", "effect", "p_value", "adjusted"))
        return Feature(**described | blank, drifted=False)
    effect = max(difference.value - difference.expected, 0.0)
    least = getattr(settings, f"min_{described['statistic']}")
    return Feature(
        **described,
        value=difference.value,
        effect=effect,
        p_value=difference.p_value,
        adjusted=adjusted,
        drifted=adjusted is not None and adjusted <= settings.alpha and effect >= least,
    )
