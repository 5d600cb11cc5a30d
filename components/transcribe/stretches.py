"""The stretches that Whisper reads: where somebody speaks, or what a reference says."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from components.conversation import SAMPLE_RATE, Seconds

MAX_STRETCH: Seconds = 30.0
"""Whisper reads this much at once."""

MIN_STRETCH: Seconds = 0.1
"""Nothing can be said in less."""

VAD_STEP: Seconds = 1.0
"""The voice activity detector hears 5 s at once, and moves on by this. WhisperX moves it on by half
a second, which takes twice as long for the same words."""

ONSET, OFFSET = 0.5, 0.363
"""Speech begins above the one score, and ends below the other (WhisperX's)."""

MARGIN: Seconds = 0.5
"""The detector cuts closely, and a word that lost its first sound is read as another."""


def cut_stretches(
    stretches: Sequence[tuple[Seconds, Seconds]], length: Seconds
) -> Iterator[tuple[Seconds, Seconds]]:
    """The stretches, cut to what Whisper reads at once.

    One longer than `MAX_STRETCH` is cut into equal parts. What lies beyond the recording's end, or
    is shorter than `MIN_STRETCH`, is left out::

        given   |---------- 50 s ----------|  || |--- 4 s ---|
        cut     |---- 25 s ---|--- 25 s ---|     |--- 4 s ---|

    >>> list(cut_stretches([(0.0, 50.0), (51.0, 51.05), (52.0, 56.0)], length=55.0))
    [(0.0, 25.0), (25.0, 50.0), (52.0, 55.0)]

    Args:
        stretches: start and end of each, in any order; they may overlap.
        length: of the recording.
    """
    for start, marked in sorted(stretches):
        end = min(marked, length)
        if end - start < MIN_STRETCH:
            continue
        parts = math.ceil((end - start) / MAX_STRETCH)
        step = (end - start) / parts
        for part in range(parts):
            yield start + part * step, end if part == parts - 1 else start + (part + 1) * step


class SpeechFinder:
    """WhisperX's voice activity detection (Bain et al. 2023): pyannote's network, and its scores
    cut into stretches of at most `MAX_STRETCH`.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        import torch
        from whisperx.vads import Pyannote

        from components.segmentation.sliding import CPU_BATCH

        self._vad = Pyannote(torch.device(device), vad_onset=ONSET, vad_offset=OFFSET)
        inference = self._vad.vad_pipeline._segmentation
        inference.step = VAD_STEP
        if device == "cpu":  # WhisperX's 32 take a third longer, and a quarter of a gigabyte
            inference.batch_size = min(inference.batch_size, CPU_BATCH)

    def __call__(self, audio: np.ndarray) -> list[tuple[Seconds, Seconds]]:
        """Where somebody speaks, in order; empty where nobody does.

        Args:
            audio: float32 [samples], mono at 16 kHz.
        """
        sound = {"waveform": self._vad.preprocess_audio(audio), "sample_rate": SAMPLE_RATE}
        return _cut_where_quiet(self._vad, self._vad(sound), len(audio) / SAMPLE_RATE)


def speech_stretches(speech: Any, length: Seconds) -> list[tuple[Seconds, Seconds]]:
    """As `SpeechFinder`, from another network's scores.

    Args:
        speech: how probable it is that somebody speaks, a `SlidingWindowFeature` [frames, 1].
        length: of the recording.
    """
    from whisperx.vads import Pyannote

    return _cut_where_quiet(Pyannote, speech, length)


def _cut_where_quiet(vad: Any, speech: Any, length: Seconds) -> list[tuple[Seconds, Seconds]]:
    merged = vad.merge_chunks(speech, MAX_STRETCH - 2 * MARGIN, onset=ONSET, offset=OFFSET)
    return with_margin([(part["start"], part["end"]) for part in merged], length)


def with_margin(
    stretches: Sequence[tuple[Seconds, Seconds]], length: Seconds
) -> list[tuple[Seconds, Seconds]]:
    """The stretches, each with up to `MARGIN` on both sides, half of a gap at most.

    >>> with_margin([(1.0, 4.0), (4.5, 9.0)], length=9.2)
    [(0.5, 4.25), (4.25, 9.2)]
    >>> with_margin([], length=9.2)
    []

    Args:
        stretches: start and end of each, in order, none over another.
        length: of the recording.
    """
    if not stretches:
        return []
    middles = [(a[1] + b[0]) / 2 for a, b in pairwise(stretches)]
    return [
        (max(start - MARGIN, low), min(end + MARGIN, high))
        for (start, end), low, high in zip(
            stretches, [0.0, *middles], [*middles, length], strict=True
        )
    ]
