"""Channels to speaker segments: who speaks when, where each speaker has a channel.

No voice is compared with another. The voice activity model that comes with WhisperX says when
somebody speaks on each channel.
"""

import warnings
from collections.abc import Callable

import numpy as np

from components.config import DiarizeSettings
from components.conversation import SAMPLE_RATE, Seconds, SpeakerSegment, channel_speaker
from components.diarize.diarizer import MIN_SAMPLES, Diarization

ONSET, OFFSET = 0.5, 0.363
"""Speech begins above the one score, and ends below the other (WhisperX's)."""

STEP: Seconds = 1.0
"""The model hears 5 s at once, and moves on by this."""

SHORTEST: Seconds = 0.1
"""A shorter stretch of speech is none, and a shorter pause is none."""

CHUNK, AROUND = 120 * SAMPLE_RATE, 5 * SAMPLE_RATE
"""Samples that are worked on at once, and those around them that are heard with them."""


class ChannelDiarizer:
    """WhisperX's voice activity model, loaded once.

    Args:
        options: the profile's; of it the device.
    """

    def __init__(self, options: DiarizeSettings) -> None:
        import torch

        with warnings.catch_warnings():
            # It warns that ffmpeg is missing, which it needs only to read files; it gets samples.
            warnings.filterwarnings("ignore", message=r"\s*torchcodec")
            from whisperx.vads.pyannote import load_vad_model
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = load_vad_model(torch.device(device))
        self._model._segmentation.step = STEP

    def diarize(
        self, channels: np.ndarray, *, step: Callable[[float], None] | None = None
    ) -> Diarization:
        """Find who speaks when.

        Args:
            channels: float [channels, samples] at 16 kHz, without crosstalk; see
                `components.conversation.read_channels`.
            step: called every few seconds with the share that is done; what it raises ends the
                work.

        Returns:
            Each channel's speech. It is exclusive as it is: words are heard on their own channel.
        """
        import torch

        segments: list[SpeakerSegment] = []
        count, samples = channels.shape
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in `Diarizer.diarize`
        try:
            for number, channel in enumerate(channels):
                for first in range(0, samples, CHUNK):
                    segments += self._chunk(channel, first, channel_speaker(number))
                    if step:
                        step((number + min((first + CHUNK) / samples, 1.0)) / count)
        finally:
            torch.set_num_threads(threads)
        joined = tuple(sorted(_joined(segments)))
        return Diarization(joined, joined)

    def _chunk(self, channel: np.ndarray, first: int, speaker: str) -> list[SpeakerSegment]:
        """The speech in `CHUNK` samples."""
        import torch
        from pyannote.audio.utils.signal import Binarize

        begin, end = max(first - AROUND, 0), min(first + CHUNK, len(channel))
        sound = channel[begin : end + AROUND].astype(np.float32)
        if len(sound) < MIN_SAMPLES or not sound.any():
            return []
        file = {"waveform": torch.from_numpy(sound)[None], "sample_rate": SAMPLE_RATE}
        speech = Binarize(ONSET, OFFSET, SHORTEST, SHORTEST)(self._model(file))
        low, high, offset = first / SAMPLE_RATE, end / SAMPLE_RATE, begin / SAMPLE_RATE
        found = ((part.start + offset, part.end + offset) for part in speech.get_timeline())
        spans = ((max(start, low), min(end, high)) for start, end in found)
        return [SpeakerSegment(round(a, 3), round(b, 3), speaker) for a, b in spans if a < b]


def _joined(segments: list[SpeakerSegment]) -> list[SpeakerSegment]:
    """The segments in their order, those of one speaker that touch joined: they were cut where a
    chunk ended."""
    result: list[SpeakerSegment] = []
    for segment in segments:
        last = result[-1] if result else None
        if last and last.speaker == segment.speaker and segment.start <= last.end:
            result[-1] = SpeakerSegment(last.start, segment.end, last.speaker)
        else:
            result.append(segment)
    return result
