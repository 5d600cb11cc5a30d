"""The signal-to-noise ratio from the reference's boundaries: tones in noise of a known power."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.conversation import SAMPLE_RATE, Recording, Turn, Utterance
from components.evaluate import measure
from components.evaluate.noise import noise_bands, signal_to_noise

LENGTH = 6.0


def recording(*spans: tuple[float, float], path: Path = Path("r.wav")) -> Recording:
    utterances = tuple(
        Utterance(f"r-{i}", "r", *span, "A", "F", "so", "sad") for i, span in enumerate(spans)
    )
    columns = (("set", "tones"), ("language", "de"))
    return Recording("r", path, "one", None, utterances, columns)


def tones(decibels: float, *spans: tuple[float, float]) -> np.ndarray:
    """Noise at −50 dB with tones that stand so many decibels out of it."""
    time = np.arange(round(LENGTH * SAMPLE_RATE)) / SAMPLE_RATE
    noise = 10 ** (-50 / 20)
    sound = np.random.default_rng(0).normal(0, noise, len(time))
    for start, end in spans:
        inside = (time >= start) & (time < end)
        sound += inside * noise * 10 ** (decibels / 20) * np.sqrt(2) * np.sin(1400 * time)
    return sound.astype(np.float32)


@pytest.mark.parametrize("decibels", [5, 15, 30])
def test_tones_in_noise(decibels: float) -> None:
    spans = (0.5, 2.0), (3.0, 5.5)
    ratios = signal_to_noise(tones(decibels, *spans), recording(*spans))
    assert ratios == pytest.approx([decibels] * 2, abs=0.5)


def test_without_pauses_the_quietest_tenth_is_the_noise() -> None:
    spoken = (0.0, 2.5), (3.5, LENGTH)
    (ratio,) = signal_to_noise(tones(20, *spoken), recording((0.0, LENGTH)))
    # the tone fills five sixths of the one utterance
    assert ratio == pytest.approx(20 + 10 * np.log10(5 / 6), abs=1)


def test_zeros_that_were_put_between_are_no_quiet_room() -> None:
    sound = tones(15, (1.0, 4.0))
    sound[: SAMPLE_RATE // 2] = 0
    sound[-SAMPLE_RATE:] = 0
    (ratio,) = signal_to_noise(sound, recording((1.0, 4.0)))
    assert ratio == pytest.approx(15, abs=0.5)


@pytest.mark.parametrize("sound", [np.zeros(6 * SAMPLE_RATE), np.zeros(1)])
def test_a_recording_without_sound_has_none(sound: np.ndarray) -> None:
    assert signal_to_noise(sound.astype(np.float32), recording((0.0, 1.0))) == [-np.inf]


@pytest.mark.parametrize(
    ("decibels", "band"), [(3, "under 10 dB"), (15, "10 to 20 dB"), (40, "over 20 dB")]
)
def test_slices_by_set_language_and_noise(tmp_path: Path, decibels: float, band: str) -> None:
    path = tmp_path / "r.wav"
    soundfile.write(path, tones(decibels, (1.0, 2.0)), SAMPLE_RATE)
    own = recording((1.0, 2.0), path=path)
    assert noise_bands([own]) == {"r-0": band}
    turn = Turn("r", 1.0, 2.0, "A", "so", emotion="sad", confidence=0.9)
    slices = measure([own], [turn], 1, noise=noise_bands([own])).metrics["slices"]
    for name, part in (("set", "tones"), ("language", "de"), ("noise", band)):
        assert slices[name][part]["accuracy"] == {"correct": 1, "total": 1, "rate": 1.0}
        assert list(slices[name]) == [part]
