"""Where somebody speaks: by WhisperX's voice activity detection, or by a diarization's network."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.base import spent_on
from components.conversation import SAMPLE_RATE, Seconds
from components.transcribe.chunks import chunks
from components.transcribe.stretches import SpeechFinder, speech_stretches

if TYPE_CHECKING:
    from components.segmentation import Segmentation

Stretches = Iterator[tuple[Seconds, Seconds]]
"""Start and end of each, in order."""


class SpeechRegions:
    """Finds the stretches that Whisper reads.

    Args:
        pipeline: the prepared diarization pipeline whose network is asked; None: WhisperX's own,
            which is loaded now.
        device: "cpu" or "cuda".
    """

    def __init__(self, pipeline: Path | None, device: str) -> None:
        self._pipeline, self._device = pipeline, device
        if pipeline is None:
            _ = self._whisperx

    @cached_property
    def _whisperx(self) -> SpeechFinder:
        return SpeechFinder(self._device)

    @cached_property
    def _network(self) -> "Segmentation":
        from components.segmentation import open_segmentation

        assert self._pipeline is not None
        return open_segmentation(self._pipeline, self._device)

    def find(self, audio: np.ndarray, speech: Any, goes_on: Callable[[], None]) -> Stretches:
        """The stretches of a recording.

        Args:
            audio: float32 [samples], mono at 16 kHz.
            speech: what the pipeline's network heard in it, where that is known.
            goes_on: called every few seconds; what it raises ends the work.

        Raises:
            InputError: the pipeline has no network that can be read by itself.
        """
        if self._pipeline is None:
            yield from self.by_whisperx(audio, goes_on)
            return
        if speech is None:
            speech = self._network(audio, lambda _: goes_on()).speech
        with spent_on("speech"):
            found = speech_stretches(speech, len(audio) / SAMPLE_RATE)
        goes_on()
        yield from found

    def by_whisperx(self, audio: np.ndarray, goes_on: Callable[[], None]) -> Stretches:
        """As `find`, by WhisperX, whatever the profile says; found a chunk at a time."""
        import torch

        for first, last in chunks(audio):
            threads = torch.get_num_threads()
            # A second thread gains the voice activity detector's LSTM nothing, and makes it 20
            # times slower on a busy machine. Whisper has threads of its own.
            torch.set_num_threads(1)
            try:
                with spent_on("speech"):
                    found = self._whisperx(audio[first:last])
            finally:
                torch.set_num_threads(threads)
            goes_on()
            offset = first / SAMPLE_RATE
            yield from ((start + offset, end + offset) for start, end in found)
