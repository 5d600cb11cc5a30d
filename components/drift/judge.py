"""Whether a window of traffic is still like what the model version was made on."""

from dataclasses import asdict, dataclass, replace
from math import comb
from typing import Any, Literal

import numpy as np

from components.drift.sample import FEATURES, Reference, Sample
from components.drift.statistics import (
    by_recording,
    compare,
    cumulative,
    fourier_features,
    holm,
    largest_difference,
    population_stability,
    squared_mmd,
)

Decision = Literal["ok", "drift", "too_small"]

STATISTICS = {"emotion": "share", "embedding": "mmd2"}
"""The statistic of a feature; that of numbers is "ks"."""

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
        min_turns, min_recordings: a smaller window is not judged.
        min_share, min_ks, min_mmd2: by statistic, the smallest difference beyond chance that
            matters.
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
class FeatureDrift:
    """One feature's comparison.

    Attributes:
        name: one of `FEATURES`.
        statistic: "share", "ks" or "mmd2".
        reference, window: mean, and 10 %, 50 %, 90 % quantiles; of emotions their shares; of
            embeddings nothing.
        turns: of the window with this feature known.
        psi: population stability index over emotions, or over the reference's tenths. It is shown
            because many know it; nothing is judged by it. None for embeddings.
        why_not: why it cannot be judged; empty if it can.
        value: of the statistic; None, as the next four, where the feature was not judged.
        effect: the part of `value` that is beyond chance.
        p_value: by exchanging recordings.
        adjusted: the same, Holm-corrected for there being several features, by `WEIGHTS`.
        drifted: sure and large enough.
    """

    name: str
    statistic: str
    reference: dict[str, float]
    window: dict[str, float]
    turns: int
    psi: float | None = None
    why_not: str = ""
    value: float | None = None
    effect: float | None = None
    p_value: float | None = None
    adjusted: float | None = None
    drifted: bool = False


@dataclass(frozen=True, slots=True)
class DriftVerdict:
    """The judgement of a window.

    Attributes:
        decision: "ok", "drift" or "too_small"; the last is no judgement.
        reason: one line.
        features: in the order of `FEATURES`.
        turns, recordings: of the window.
        reference_turns, reference_recordings: what it was compared with.
        settings: how it was judged.
        other_labels: turns that versions with other labels answered in that time; they are no part
            of the window.
    """

    decision: Decision
    reason: str
    features: tuple[FeatureDrift, ...]
    turns: int
    recordings: int
    reference_turns: int
    reference_recordings: int
    settings: DriftSettings
    other_labels: int = 0

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the features that have drifted."""
        return tuple(feature.name for feature in self.features if feature.drifted)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"drifted": list(self.drifted)}


def judge_window(
    reference: Reference,
    window: Sample,
    settings: DriftSettings | None = None,
    *,
    other_labels: int = 0,
) -> DriftVerdict:
    """Compare a window with a reference of the same labels, feature by feature.

    A feature is left out where too few turns of either side have it, or where there are so few
    recordings that no exchange of them could be rare enough to prove anything.
    """
    settings = settings or DriftSettings()
    recordings, every = window.recording_count, reference.every
    small = len(window) < settings.min_turns or recordings < settings.min_recordings
    features = []
    for name in FEATURES:
        sides = [_known(sample, name) for sample in (reference.of(name), window)]
        feature = _describe(name, sides, settings)
        if not small and not feature.why_not:
            feature = _compare(feature, sides, settings)
        features.append(feature)
    features = _decide(features, settings)
    judged = [feature for feature in features if feature.p_value is not None]
    drifted = [feature.name for feature in features if feature.drifted]
    decision: Decision = "drift" if drifted else "ok" if judged else "too_small"
    if drifted:
        reason = f"{', '.join(drifted)} {'have' if len(drifted) > 1 else 'has'} drifted"
    elif judged:
        reason = f"{len(judged)} features are as in the reference"
    elif small:
        reason = (
            f"{len(window)} turns of {recordings} recordings are too few to judge; it takes"
            f" {settings.min_turns} turns of {settings.min_recordings} recordings"
        )
    else:
        reason = f"{every.recording_count} recordings in the reference are too few to judge by"
    if other_labels:
        kept = ", ".join(reference.every.labels)
        reason += f"; left out: {other_labels} turns answered with other labels than {kept}"
    counts = (len(window), recordings, len(every), every.recording_count)
    return DriftVerdict(decision, reason, tuple(features), *counts, settings, other_labels)


def _known(sample: Sample, name: str) -> Sample:
    """The turns whose feature is known."""
    if name not in sample.features:
        return sample.where(np.zeros(len(sample), bool))
    values = sample.features[name]
    known = np.isfinite(values)
    return sample.where(known if known.ndim == 1 else known.all(axis=1))


def _describe(name: str, sides: list[Sample], settings: DriftSettings) -> FeatureDrift:
    """What a feature is like on both sides, and whether it can be judged."""
    why_not = _why_not(name, sides, settings)
    return FeatureDrift(
        name=name,
        statistic=STATISTICS.get(name, "ks"),
        reference=_summary(name, sides[0]),
        window=_summary(name, sides[1]),
        turns=len(sides[1]),
        psi=None if why_not or name == "embedding" else _psi(name, sides),
        why_not=why_not,
    )


def _why_not(name: str, sides: list[Sample], settings: DriftSettings) -> str:
    for side, where in zip(sides, ("reference", "window"), strict=True):
        if not len(side):
            return f"not known in the {where}"
    # Of all ways to exchange recordings the real one must be able to stand out.
    before, now = (side.recording_count for side in sides)
    share = WEIGHTS.get(name, 1.0) / sum(WEIGHTS.get(other, 1.0) for other in FEATURES)
    if 1 / comb(before + now, before) > share * settings.alpha:
        return f"{before} and {now} recordings are too few"
    return ""


def _summary(name: str, side: Sample) -> dict[str, float]:
    if name == "embedding" or not len(side):
        return {}
    values = side.features[name]
    if name == "emotion":
        answers = values.argmax(axis=1)
        return {e: float((answers == index).mean()) for index, e in enumerate(side.labels)}
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    summary = {"mean": values.mean(), "p10": low, "p50": middle, "p90": high}
    return {key: float(value) for key, value in summary.items()}


def _psi(name: str, sides: list[Sample]) -> float:
    values = [side.features[name] for side in sides]
    if name == "emotion":
        bins, size = [v.argmax(axis=1) for v in values], len(sides[0].labels)
    else:
        edges = np.quantile(values[0], np.arange(1, 10) / 10)
        bins, size = [np.searchsorted(edges, v) for v in values], 10
    first, second = (np.bincount(b, minlength=size) for b in bins)
    return population_stability(first, second)


def _compare(feature: FeatureDrift, sides: list[Sample], settings: DriftSettings) -> FeatureDrift:
    """The feature with its statistic, and how surely that is beyond chance."""
    values = [side.features[feature.name] for side in sides]
    both = np.concatenate(values)
    if feature.name == "embedding":
        values = [fourier_features(vectors, both, seed=settings.seed) for vectors in values]
    elif feature.name != "emotion":
        values = [cumulative(numbers, both) for numbers in values]
    first, second = (by_recording(s.recordings, v) for s, v in zip(sides, values, strict=True))
    difference = compare(
        first,
        second,
        squared_mmd if feature.name == "embedding" else largest_difference,
        draws=settings.draws,
        seed=settings.seed,
        level=settings.alpha,
    )
    effect = max(difference.value - difference.expected, 0.0)
    return replace(feature, value=difference.value, effect=effect, p_value=difference.p_value)


def _decide(features: list[FeatureDrift], settings: DriftSettings) -> list[FeatureDrift]:
    """The features with their corrected p-values, and whether they have drifted."""
    p_values = {f.name: f.p_value for f in features if f.p_value is not None}
    weights = [WEIGHTS.get(name, 1.0) for name in p_values]
    adjusted = dict(zip(p_values, holm(list(p_values.values()), weights), strict=True))
    decided = []
    for feature in features:
        if feature.effect is not None:
            p, min_effect = adjusted[feature.name], getattr(settings, f"min_{feature.statistic}")
            drifted = p <= settings.alpha and feature.effect >= min_effect
            decided.append(replace(feature, adjusted=p, drifted=drifted))
        else:
            decided.append(feature)
    return decided
