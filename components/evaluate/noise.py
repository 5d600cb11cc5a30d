"""How far speech stands out of its recording's noise, estimated from the reference's boundaries."""

from collections.abc import Sequence

import numpy as np

from components.conversation import SAMPLE_RATE, Recording, Seconds, read_audio

FRAME: Seconds = 0.02
EDGE: Seconds = 0.1
"""Boundaries are ragged: pauses are taken this much shorter at both ends."""

MIN_PAUSES: Seconds = 0.3
"""Less than this of pauses says nothing of the noise in them."""

SILENCE = 1e-10
"""The power of a frame (full scale is 1) below which it holds zeros that somebody put there."""

BANDS = ((10.0, "under 10 dB"), (20.0, "10 to 20 dB"), (np.inf, "over 20 dB"))
"""Signal-to-noise ratios up to each bound, and what they are called."""


def noise_bands(recordings: Sequence[Recording]) -> dict[str, str]:
    """The band of each utterance's signal-to-noise ratio, by the utterance's name.

    Memory holds one recording at a time.

    Raises:
        InputError: audio that cannot be read.
    """
    bands: dict[str, str] = {}
    for recording in recordings:
        ratios = signal_to_noise(read_audio(recording.audio), recording)
        for utterance, ratio in zip(recording.utterances, ratios, strict=True):
            bands[utterance.id] = next(name for bound, name in BANDS if ratio <= bound)
    return bands


def signal_to_noise(audio: np.ndarray, recording: Recording) -> list[float]:
    """The signal-to-noise ratio of each utterance, in dB.

    The noise is the mean power between the reference utterances, the utterance that of speech and
    noise together: 10 log₁₀ ((utterance − noise) / noise). Where a recording has next to no pause,
    its quietest tenth is taken for noise. What hums on through speech only, and voices that nobody
    labelled, are not told apart from it.

    Args:
        audio: float32 [samples] at `SAMPLE_RATE`, of the whole recording.
    """
    size = round(FRAME * SAMPLE_RATE)
    count = max(len(audio) // size, 1)
    padded = np.zeros(count * size)
    padded[: min(len(audio), len(padded))] = audio[: len(padded)]
    power = (padded.reshape(count, size) ** 2).mean(axis=1)
    middle = (np.arange(count) + 0.5) * FRAME
    pause = power > SILENCE
    for start, end in recording.stretches:
        pause &= (middle < start - EDGE) | (middle > end + EDGE)
    heard = np.sort(power[power > SILENCE])
    if pause.sum() * FRAME >= MIN_PAUSES:
        noise = float(power[pause].mean())
    else:
        noise = float(heard[: max(len(heard) // 10, 1)].mean()) if len(heard) else 0.0
    ratios = []
    for utterance in recording.utterances:
        first = min(int(utterance.start / FRAME), count - 1)
        speech = float(power[first : max(int(utterance.end / FRAME), first + 1)].mean()) - noise
        if speech <= 0 or noise <= 0:
            ratios.append(-np.inf if speech <= 0 else np.inf)
        else:
            ratios.append(10 * float(np.log10(speech / noise)))
    return ratios
