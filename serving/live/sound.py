"""The sound of a call that goes on: in a file without a name, which goes with the process."""

import tempfile
import wave
from bisect import bisect_left
from typing import IO

import numpy as np

from components.conversation import SAMPLE_RATE, Seconds

HEADER = 44
"""Bytes of a WAV file before its samples."""

SAMPLE_BYTES = 2

STEP = SAMPLE_RATE // 10
"""Samples between two moments that are noted."""


class CallSound:
    """Sound that grows: 16 bits a sample, mono, 16 kHz."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # `close` does it
        self._wav = wave.open(self._file, "wb")  # noqa: SIM115  # likewise
        self._wav.setnchannels(1)
        self._wav.setsampwidth(SAMPLE_BYTES)
        self._wav.setframerate(SAMPLE_RATE)
        self._wav.writeframesraw(b"")
        self.samples = 0
        self._came: list[tuple[int, float]] = []

    @property
    def seconds(self) -> Seconds:
        """How much there is."""
        return self.samples / SAMPLE_RATE

    def add(self, pcm: bytes, now: Seconds) -> np.ndarray:
        """The next piece.

        Args:
            pcm: little-endian.
            now: when it came, by a clock of the caller's.

        Returns:
            float32 [samples].
        """
        self._wav.writeframesraw(pcm)
        self.samples += len(pcm) // SAMPLE_BYTES
        if not self._came or self.samples - self._came[-1][0] >= STEP:
            self._came.append((self.samples, now))
        return _floats(pcm)

    def came_at(self, second: Seconds) -> Seconds:
        """When the sound of that second came, by the caller's clock; what came before it is
        forgotten."""
        place = bisect_left(self._came, (round(second * SAMPLE_RATE), 0.0))
        del self._came[: min(place, len(self._came) - 1)]
        return self._came[0][1]

    def read(self, start: Seconds, end: Seconds) -> np.ndarray:
        """A stretch of it, float32 [samples]."""
        first, last = (round(edge * SAMPLE_RATE) for edge in (max(start, 0.0), end))
        self._file.seek(HEADER + SAMPLE_BYTES * first)
        pcm = self._file.read(SAMPLE_BYTES * max(min(last, self.samples) - first, 0))
        self._file.seek(0, 2)
        return _floats(pcm)

    def as_wav(self) -> IO[bytes]:
        """All of it as a WAV file, from its beginning; nothing can be added any more."""
        self._wav.close()  # writes the header
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Delete it."""
        self._wav.close()
        self._file.close()


def _floats(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
