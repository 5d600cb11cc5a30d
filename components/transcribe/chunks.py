"""A long recording is transcribed in chunks, cut where it is quietest."""

import numpy as np

from components.conversation import SAMPLE_RATE, Seconds

MAX_CHUNK: Seconds = 120.0
"""Memory, and how long other requests wait, grow with a chunk and not with the recording."""

SEARCH: Seconds = 20.0
"""The cut is made within the last seconds of a full chunk."""

PAUSE: Seconds = 0.3
"""The cut is made in the middle of the quietest stretch of this length."""


def chunks(audio: np.ndarray) -> list[tuple[int, int]]:
    """The first and last sample of chunks of at most `MAX_CHUNK` that make up a recording.

    Args:
        audio: float32 [samples], mono at 16 kHz.
    """
    max_samples, search = round(MAX_CHUNK * SAMPLE_RATE), round(SEARCH * SAMPLE_RATE)
    edges = [0]
    while len(audio) - edges[-1] > max_samples:
        end = edges[-1] + max_samples
        edges.append(end - search + _quietest(audio[end - search : end]))
    return list(zip(edges, [*edges[1:], len(audio)], strict=True))


def _quietest(audio: np.ndarray) -> int:
    """The middle of the `PAUSE` seconds with the least energy, in samples."""
    width = round(PAUSE * SAMPLE_RATE)
    energy = np.concatenate([[0.0], np.cumsum(np.square(audio, dtype=np.float64))])
    return int(np.argmin(energy[width:] - energy[:-width])) + width // 2
