"""One number that makes a version as sure as it is right: the temperature of its softmax.

Fitted models are surer than they are right. Dividing the logits by a temperature mends most of it
and changes no answer (Guo et al., 2017, section 4.2). It is fitted on the validation part: on the
training part nearly every answer is right, and the test part is for the gate.
"""

from dataclasses import dataclass

import numpy as np

MIN_TURNS = 20
"""With fewer validation turns a temperature would tell of them, and not of the model."""

LOWEST, HIGHEST = 0.25, 8.0
"""The bounds of a temperature: beyond them it is the data that is odd."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """A fitted temperature.

    Attributes:
        value: what the logits are divided by.
        turns: how many it was fitted on.
        loss_before, loss: the mean negative log-likelihood of the labels (nats) at 1 and at
            `value`.
        note: why it is not simply the best one; empty where it is.
    """

    value: float
    turns: int
    loss_before: float
    loss: float
    note: str = ""


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> Temperature:
    """The temperature with the least negative log-likelihood of the labels.

    Two answers that are half sure, one of them right, need none. Three in four right, said with
    99 %, were too sure::

    >>> sure = np.tile([0.99, 0.01], (40, 1))
    >>> fitted = fit_temperature(sure, np.arange(40) % 4 // 3)
    >>> round(fitted.value, 2), np.round(tempered(sure[:1], fitted.value), 2).tolist()
    (4.18, [[0.75, 0.25]])

    Args:
        probabilities: [n, k], answers at a temperature of 1.
        labels: [n], the right class of each.

    Returns:
        It stays 1, with a note, where there are too few turns, or where every answer is right: the
        likelihood would be best with all of them certain.
    """
    from scipy.optimize import minimize_scalar

    def loss(temperature: float) -> float:
        of_labels = tempered(probabilities, temperature)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(of_labels, np.finfo(float).tiny)).mean())

    turns, before = len(labels), loss(1.0)
    if turns < MIN_TURNS:
        note = f"the validation part has {turns} turns, too few to fit one (fewer than {MIN_TURNS})"
        return Temperature(1.0, turns, before, before, note)
    if (probabilities.argmax(axis=1) == labels).all():
        note = f"all {turns} answers of the validation part are right, so they cannot fit one"
        return Temperature(1.0, turns, before, before, note)
    bounds = (np.log(LOWEST), np.log(HIGHEST))
    best = minimize_scalar(lambda log: loss(np.exp(log)), bounds=bounds, method="bounded").x
    # To four digits: the same on machines that sum in another order.
    value = round(float(np.exp(best)), 4)
    near = next((b for b in (LOWEST, HIGHEST) if abs(np.log(value / b)) < 0.01), None)
    note = "" if near is None else f"it is at its bound of {near:g}: look at the validation part"
    return Temperature(value, turns, before, loss(value), note)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Answers of a softmax at another temperature: p^(1/T), normalised. [n, k] → [n, k]."""
    from scipy.special import log_softmax

    logits = np.log(np.maximum(probabilities, np.finfo(float).tiny))
    return np.exp(log_softmax(logits / temperature, axis=1))
