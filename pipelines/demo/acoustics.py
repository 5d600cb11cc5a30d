"""A recording under other acoustic conditions: other voices, a noisy room, a telephone line.

Signal processing makes it, so it is as synthetic as its source. The words, speakers and emotions
stay known; only times change, where speech becomes faster or slower.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from components.conversation import SAMPLE_RATE, Recording, read_audio

SPEEDS = (0.88, 1.14)
SNR_DB = 10.0
TELEPHONE_RATE = 8_000
TELEPHONE_BAND = (300.0, 3_400.0)
MU = 255
"""The µ of G.711's companding, which North American telephone lines use."""

SPEECH = 1e-3
"""The power of speech is measured on samples above this value."""


def record_elsewhere(
    recording: Recording, folder: Path, speeds: Sequence[float] = SPEEDS
) -> Recording:
    """Write a recording's sound as if it came from elsewhere, as `<name>.flac` into a folder.

    The recording's name decides on the speed, one of `speeds`, and on the noise.

    Returns:
        The recording of the same name with that sound and the utterances' new times.
    """
    import soundfile

    rng = np.random.default_rng([zlib.crc32(recording.name.encode()), 0])
    speed = float(rng.choice(speeds))
    sound = over_telephone(in_noise(at_speed(read_audio(recording.audio), speed), SNR_DB, rng))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{recording.name}.flac"
    soundfile.write(path, np.clip(sound, -1, 1), SAMPLE_RATE, subtype="PCM_16")
    utterances = tuple(
        replace(u, start=u.start / speed, end=u.end / speed) for u in recording.utterances
    )
    return replace(recording, audio=path, utterances=utterances)


def at_speed(sound: np.ndarray, speed: float) -> np.ndarray:
    """Sound played faster or slower, as from a tape: pitch and formants move with the speed.

    Args:
        sound: float [samples], mono at 16 kHz, here and below.
        speed: above 1 is faster, and higher.
    """
    import soxr

    return soxr.resample(sound, SAMPLE_RATE * speed, SAMPLE_RATE)


def in_noise(sound: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Sound with pink noise, as rooms and streets have it.

    Args:
        snr_db: mean power of the speech over that of the noise, in decibels.
    """
    waves = np.fft.rfft(rng.normal(size=len(sound)))
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
    decoded = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU
    return soxr.resample(decoded, TELEPHONE_RATE, SAMPLE_RATE)
