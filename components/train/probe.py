"""Fitting the linear probe that stands beside a version (`components.fusion.probe`)."""

from collections.abc import Sequence

import numpy as np

from components.fusion.probe import Probe
from components.train.states import EncodedWindow

C = 0.01
"""The inverse of the penalty's strength, the same for all: features are thousands, standardised."""


def fit_probe(
    encoded: Sequence[Sequence[EncodedWindow]],
    labels: Sequence[int],
    names: Sequence[str],
    *,
    pretrained: bool,
) -> Probe:
    """Fit logistic regression to the training turns' features.

    Args:
        encoded: the windows of each training turn.
        labels: of the turns, as indices of `names`; each name occurs.
        pretrained: as of `Probe`.
    """
    from sklearn.linear_model import LogisticRegression

    features = turn_features(encoded)
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    fitted = LogisticRegression(C=C, max_iter=1000).fit((features - mean) / scale, labels)
    weight, bias = fitted.coef_, fitted.intercept_
    if len(names) == 2:  # scikit-learn keeps the second class alone
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    mean, scale, weight, bias = (
        np.ascontiguousarray(array, dtype=np.float32) for array in (mean, scale, weight, bias)
    )
    return Probe(mean, scale, weight, bias, tuple(names), pretrained)


def turn_features(encoded: Sequence[Sequence[EncodedWindow]]) -> np.ndarray:
    """The probe's features of turns, windows averaged: [turns, f]."""
    return np.stack([sum(w.weight * w.probe for w in windows) for windows in encoded])
