"""What is measured on a turn, against the definitions written out."""

import numpy as np
import pytest

from components.fusion import turn_measures


@pytest.mark.parametrize("samples", [320, 3_200, 16_123, 48_000])
def test_by_definition(samples: int) -> None:
    dice = np.random.default_rng(samples)
    sound = (dice.normal(size=samples) * np.linspace(0.01, 0.3, samples)).astype("f4")
    power = np.square(sound.astype("f8"))
    frames = power[: samples // 320 * 320].reshape(-1, 320).mean(axis=1)
    measures = turn_measures(sound, "one two three")
    assert measures == pytest.approx(
        {
            "duration": samples / 16_000,
            "words_per_second": 3 * 16_000 / samples,
            "loudness_db": 10 * np.log10(power.mean()),
            "snr_db": 10 * np.log10(power.mean() / np.quantile(frames, 0.1)),
        },
        abs=1e-4,
    )


def test_sound_that_is_hardly_any() -> None:
    silence = {"words_per_second": 0.0, "loudness_db": pytest.approx(-100), "snr_db": 0.0}
    assert turn_measures(np.zeros(0, "f4"), "lost") == silence | {"duration": 0.0}
    assert turn_measures(np.zeros(500, "f4"), "") == silence | {"duration": 500 / 16_000}
    short = turn_measures(np.full(100, 0.5, "f4"), "a")
    assert (short["loudness_db"], short["snr_db"]) == (pytest.approx(-6.0206, abs=1e-3), 0.0)
