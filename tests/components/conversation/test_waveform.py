"""A recording's outline holds each stretch's largest magnitude, whatever its length."""

import numpy as np
import pytest

from components.conversation import PEAKS_PER_SECOND, SAMPLE_RATE, peaks


@pytest.mark.parametrize("samples", [0, 1, 799, 800, 801, 16_000, 123_457])
def test_every_sample_is_under_the_outline(samples: int) -> None:
    sound = np.random.default_rng(samples).uniform(-1, 1, samples).astype("f4")
    outline = peaks(sound)
    step = SAMPLE_RATE // PEAKS_PER_SECOND
    assert len(outline) == -(-samples // step)
    for number, peak in enumerate(outline):
        stretch = np.abs(sound[number * step : (number + 1) * step])
        assert peak == round(100 * float(stretch.max()))


def test_what_is_too_loud_is_full() -> None:
    assert peaks(np.array([0.1, -3.0], "f4")).tolist() == [100]
