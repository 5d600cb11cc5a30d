"""The temperature: what it recovers, and when it is left at 1."""

import numpy as np
import pytest
from scipy.special import softmax

from components.scoring import calibration, fit_temperature, tempered
from components.scoring.temperature import HIGHEST, LOWEST


def answers(labels: int, temperature: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from calibrated probabilities, and answers that are surer by a temperature."""
    dice = np.random.default_rng(labels)
    logits = 2 * dice.standard_normal((count, labels))
    honest = softmax(logits, axis=1)
    drawn = (honest.cumsum(axis=1) < dice.random((count, 1))).sum(axis=1)
    return softmax(logits * temperature, axis=1), np.minimum(drawn, labels - 1)


@pytest.mark.parametrize("labels", [2, 4, 6])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_it_finds_how_much_too_sure_the_answers_are(labels: int, temperature: float) -> None:
    probabilities, right = answers(labels, temperature)
    fitted = fit_temperature(probabilities, right)
    assert fitted.value == pytest.approx(temperature, rel=0.08)
    assert fitted.note == "" and fitted.loss <= fitted.loss_before
    calibrated = tempered(probabilities, fitted.value)
    assert (calibrated.argmax(1) == probabilities.argmax(1)).all()
    assert calibrated.sum(1) == pytest.approx(1)
    assert tempered(calibrated, 1 / fitted.value) == pytest.approx(probabilities, abs=1e-9)
    hits = calibrated.argmax(1) == right
    assert calibration(calibrated.max(1), hits).ece < 0.03


def test_few_turns_or_none_that_is_wrong_leave_it_at_one() -> None:
    probabilities, right = answers(4, 3.0, count=19)
    few = fit_temperature(probabilities, right)
    assert few.value == 1 and "19 turns" in few.note and few.loss == few.loss_before
    sure = fit_temperature(probabilities.repeat(2, 0), probabilities.argmax(1).repeat(2))
    assert sure.value == 1 and "all 38 answers" in sure.note


def test_it_is_bounded_and_says_so() -> None:
    wrong = np.tile([0.999, 0.001], (30, 1))
    worst = fit_temperature(wrong, np.ones(30, dtype=int))
    assert worst.value == pytest.approx(HIGHEST, rel=0.01) and f"bound of {HIGHEST:g}" in worst.note
    timid = np.tile([0.5001, 0.4999], (30, 1))
    best = fit_temperature(timid, np.array([0] * 29 + [1]))
    assert best.value == pytest.approx(LOWEST, rel=0.01) and "bound" in best.note
    certain = fit_temperature(np.tile([1.0, 0.0], (30, 1)), np.array([0] * 29 + [1]))
    assert np.isfinite([certain.value, certain.loss, certain.loss_before]).all()
