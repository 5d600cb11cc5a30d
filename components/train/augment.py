"""Sound as it might have been recorded: a model that heard only clean speech fails elsewhere.

Six changes, each made with a chance of half the strength, in this order: speed (and with it
pitch), a room, noise, a telephone, loudness, silence around it. The words and the emotion stay
what they are. The dice are thrown by seed, epoch and utterance: a training that goes on after an
interruption hears the same.
"""

from dataclasses import dataclass

import numpy as np

from components.base import json_digest
from components.conversation import SAMPLE_RATE, Seconds
from components.train.data import Row

AUGMENT = 2
"""The version of the changes: states of other ones are encoded anew."""

CHANCE = 0.5
"""Of each change, at a strength of 1."""

SPEED = (0.9, 1.1)
ROOM_SECONDS = (0.15, 0.6)
"""How long a room takes to fall silent by 60 dB."""
SNR_DB = (5.0, 30.0)
GAIN_DB = (-12.0, 6.0)
SILENCE: tuple[Seconds, Seconds] = (0.0, 0.5)
"""Before and after the speech, each."""
TELEPHONE_HZ = (300.0, 3400.0)
TELEPHONE_RATE = 8_000


@dataclass(frozen=True, slots=True)
class Heard:
    """The conditions in which one epoch, or one copy, hears the training examples.

    Attributes:
        strength: as of `augment`.
        seed: of the training.
        number: of the epoch or the copy.
    """

    strength: float
    seed: int
    number: int

    @property
    def key(self) -> tuple[int, float, int, int]:
        """What decides the sound, for a cache."""
        return (AUGMENT, self.strength, self.seed, self.number)

    def __call__(self, audio: np.ndarray, row: Row, max_samples: int) -> np.ndarray:
        """A window of a row's sound, no longer than the model takes."""
        name = int(json_digest([row.recording, row.start, row.end])[:16], 16)
        random = np.random.default_rng([self.seed, self.number, name])
        return augment(audio, self.strength, random)[:max_samples]


def augment(audio: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """The same speech under other conditions.

    Args:
        audio: float32 [samples], mono at 16 kHz.
        strength: from 0, which leaves it as it is, to 1.
        random: decides which changes are made, and how large they are.

    Returns:
        float32 [samples], within ±1; of another length where its speed or the silence around it was
        changed.
    """
    changed = np.asarray(audio, dtype=np.float32)
    for change in (_speed, _room, _noise, _telephone, _gain, _silence):
        # Thrown for every change alike, so that one of them never moves the others' dice.
        made, inner = random.random() < CHANCE * strength, random.spawn(1)[0]
        if made and len(changed):
            changed = change(changed, inner)
    return np.clip(changed, -1.0, 1.0).astype(np.float32)


def _speed(audio: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Faster or slower, as a tape is: pitch changes with it."""
    import soxr

    return soxr.resample(audio, SAMPLE_RATE * random.uniform(*SPEED), SAMPLE_RATE)


def _room(audio: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Reverberation: the direct sound, then noise that falls off (Polack, 1988)."""
    from scipy.signal import fftconvolve

    seconds = random.uniform(*ROOM_SECONDS)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = random.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail *= random.uniform(0.3, 1.0) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    return _as_loud(fftconvolve(audio, tail)[: len(audio)], audio)


def _noise(audio: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Noise between white and brown, at a signal-to-noise ratio."""
    spectrum = np.fft.rfft(random.standard_normal(len(audio)))
    slope = random.uniform(0.0, 2.0)
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** (-slope / 2)
    noise = np.fft.irfft(spectrum, len(audio))
    power = _power(audio) / 10 ** (random.uniform(*SNR_DB) / 10)
    return audio + noise * np.sqrt(power / max(_power(noise), 1e-20))


def _telephone(audio: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A narrow-band line: 300 to 3400 Hz, in 8-bit µ-law (ITU-T G.711)."""
    import soxr
    import torch
    from scipy.signal import butter, sosfilt
    from torchaudio.functional import mu_law_decoding, mu_law_encoding

    band = butter(4, TELEPHONE_HZ, "bandpass", fs=TELEPHONE_RATE, output="sos")
    narrow = sosfilt(band, soxr.resample(audio, SAMPLE_RATE, TELEPHONE_RATE))
    coded = mu_law_encoding(torch.from_numpy(np.clip(narrow, -1, 1)), 256)
    wide = soxr.resample(mu_law_decoding(coded, 256).numpy(), TELEPHONE_RATE, SAMPLE_RATE)
    # Resampling twice may round the length.
    return np.pad(wide, (0, max(0, len(audio) - len(wide))))[: len(audio)]


def _gain(audio: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return audio * 10 ** (random.uniform(*GAIN_DB) / 20)


def _silence(audio: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Boundaries that a diarizer drew too wide."""
    return np.pad(audio, [round(random.uniform(*SILENCE) * SAMPLE_RATE) for _ in range(2)])


def _power(audio: np.ndarray) -> float:
    return float((np.asarray(audio, dtype=np.float64) ** 2).mean())


def _as_loud(changed: np.ndarray, audio: np.ndarray) -> np.ndarray:
    return changed * np.sqrt(_power(audio) / max(_power(changed), 1e-20))
