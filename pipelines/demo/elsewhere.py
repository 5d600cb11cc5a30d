"""A recording as it would have come from elsewhere: other voices, a noisy place, a telephone line.

Made by signal processing, so as synthetic as what it is made of. What was said, by whom and how,
is known as before; only times change, where speech becomes faster or slower.
"""

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from components.conversation import SAMPLE_RATE, Recording, read_audio

TELEPHONE_RATE = 8_000
TELEPHONE_BAND = (300.0, 3_400.0)
MU = 255
"""Of G.711's companding, which North American telephone lines code with."""

SPEECH = 1e-3
"""Samples above are taken for speech, where its power is measured."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where recordings come from now.

    Attributes:
        speeds: how many times as fast, and by the same factor as high, voices are: one of these
            for each recording.
        snr_db: of the noise, in decibels under the speech; None adds none.
        telephone: over a telephone line.
    """

    speeds: tuple[float, ...] = (0.88, 1.14)
    snr_db: float | None = 10.0
    telephone: bool = True


def from_elsewhere(
    recording: Recording, folder: Path, place: Elsewhere, *, seed: int = 0
) -> Recording:
    """Write a recording's sound as it would have come from elsewhere.

    Args:
        folder: where `<name>.flac` goes.
        seed: another one, other noise; the recording's name decides, too.

    Returns:
        The recording with that sound, its times moved where it is faster or slower. Its name stays.
    """
    import soundfile

    dice = np.random.default_rng([zlib.crc32(recording.name.encode()), seed])
    speed = float(dice.choice(place.speeds))
    sound = at_speed(read_audio(recording.audio), speed)
    if place.snr_db is not None:
        sound = in_noise(sound, place.snr_db, dice)
    if place.telephone:
        sound = over_telephone(sound)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{recording.name}.flac"
    soundfile.write(path, np.clip(sound, -1, 1), SAMPLE_RATE, subtype="PCM_16")
    utterances = tuple(
        replace(u, start=u.start / speed, end=u.end / speed) for u in recording.utterances
    )
    return replace(recording, audio=path, utterances=utterances)


def at_speed(sound: np.ndarray, speed: float) -> np.ndarray:
    """Sound played faster or slower, as a tape is: pitch and formants move with it.

    Args:
        sound: float [samples], mono at 16 kHz, here and below.
        speed: above 1 is faster, and higher.
    """
    import soxr

    return soxr.resample(sound, SAMPLE_RATE * speed, SAMPLE_RATE)


def in_noise(sound: np.ndarray, snr_db: float, dice: np.random.Generator) -> np.ndarray:
    """Sound with pink noise, as of rooms and streets.

    Args:
        snr_db: mean power of the speech against the noise's, in decibels.
    """
    waves = np.fft.rfft(dice.normal(size=len(sound)))
    waves /= np.sqrt(np.maximum(np.arange(len(waves)), 1))
    noise = np.fft.irfft(waves, len(sound))
    spoken = sound[np.abs(sound) > SPEECH]
    power = np.square(spoken).mean() if len(spoken) else 0.0
    return sound + noise / noise.std() * np.sqrt(power / 10 ** (snr_db / 10))


def over_telephone(sound: np.ndarray) -> np.ndarray:
    """Sound as a telephone line carries it: 300 to 3,400 Hz, coded with 8 bits by G.711's µ-law."""
    import soxr
    from scipy.signal import butter, sosfilt

    band = butter(4, TELEPHONE_BAND, "bandpass", fs=SAMPLE_RATE, output="sos")
    narrow = soxr.resample(sosfilt(band, sound), SAMPLE_RATE, TELEPHONE_RATE).clip(-1, 1)
    coded = np.round(np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU) * 127) / 127
    heard = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU
    return soxr.resample(heard, TELEPHONE_RATE, SAMPLE_RATE)
