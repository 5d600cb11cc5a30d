"""Sound in other conditions: what is changed, and that the same dice change it in the same way."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.config import Profile, Settings, load_profile
from components.conversation import SAMPLE_RATE, Recording
from components.train import TrainResult, train
from components.train.augment import (
    Heard,
    _gain,
    _noise,
    _room,
    _silence,
    _speed,
    _telephone,
    augment,
)
from components.train.data import Row

ROW = Row("r0", "fold0", 0.0, 1.0, "no", 0, None)


def speech() -> np.ndarray:
    """A second of a buzz with all harmonics, on and off."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    buzz = sum(np.sin(2 * np.pi * 110 * k * time) / k for k in range(1, 60))
    return (0.1 * buzz * (np.sin(2 * np.pi * 3 * time) > 0)).astype("f4")


def share_above(audio: np.ndarray, hertz: float) -> float:
    power = np.abs(np.fft.rfft(audio)) ** 2
    return float(power[np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE) > hertz].sum() / power.sum())


def test_the_same_epoch_of_the_same_training_hears_the_same() -> None:
    first = Heard(1.0, 7, 3)(speech(), ROW, 480_000)
    assert np.array_equal(first, Heard(1.0, 7, 3)(speech(), ROW, 480_000))
    others = (Heard(1.0, 7, 4), Heard(1.0, 8, 3))
    assert not any(np.array_equal(first, other(speech(), ROW, 480_000)) for other in others)
    assert np.array_equal(Heard(0.0, 7, 3)(speech(), ROW, 480_000), speech())


def test_whatever_the_dice_say_it_is_sound_within_the_limits() -> None:
    for sound in (speech(), np.zeros(400, "f4"), np.ones(1, "f4"), 3 * speech()):
        for number in range(30):
            heard = Heard(1.0, 1, number)(sound, ROW, SAMPLE_RATE)
            assert heard.dtype == np.float32 and heard.ndim == 1
            assert 0 < len(heard) <= SAMPLE_RATE
            assert np.abs(heard).max() <= 1  # no NaN, either


def test_each_change_does_what_it_says() -> None:
    clean, dice = speech(), np.random.default_rng(0)
    lengths = [len(_speed(clean, np.random.default_rng(n))) for n in range(20)]
    assert min(lengths) < 0.96 * SAMPLE_RATE and max(lengths) > 1.04 * SAMPLE_RATE
    narrow = _telephone(clean, dice)
    assert len(narrow) == len(clean)
    assert share_above(clean, 4000) > 1e-3
    assert share_above(narrow, 4000) < 1e-4
    silent = clean == 0
    assert np.abs(_noise(clean, dice)[silent]).mean() > 1e-4
    assert np.abs(_room(clean, dice)[silent]).mean() > 1e-4, "a room goes on sounding"
    longer = _silence(clean, dice)
    assert 0 < len(longer) - len(clean) <= SAMPLE_RATE
    assert np.trim_zeros(longer) == pytest.approx(np.trim_zeros(clean))
    ratio = _gain(clean, dice)[~silent] / clean[~silent]
    assert ratio == pytest.approx(ratio[0])


def test_the_stronger_the_more_is_changed() -> None:
    def changed(strength: float) -> int:
        return sum(
            not np.array_equal(augment(speech(), strength, np.random.default_rng(n)), speech())
            for n in range(40)
        )

    assert 0 == changed(0.0) < changed(0.2) < changed(1.0)


def test_a_profile_without_it_is_the_work_it_was() -> None:
    for name in ("tiny", "paper"):
        assert "augment" not in load_profile(name).model_dump_json()


@pytest.mark.parametrize("freeze_encoders", [True, False])
def test_training_hears_it(
    corpus: tuple[Path, list[Recording]],
    make_profile: Callable[..., Profile],
    settings: Settings,
    tmp_path: Path,
    freeze_encoders: bool,
) -> None:
    def fitted(augment: float) -> TrainResult:
        profile = make_profile(epochs=2, freeze_encoders=freeze_encoders, augment=augment)
        return train(*corpus, tmp_path / str(augment), profile, settings)

    clean, robust = fitted(0.0), fitted(1.0)
    assert [e["training_loss"] for e in clean.history] != [
        e["training_loss"] for e in robust.history
    ]
