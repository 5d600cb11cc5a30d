"""A long recording is heard in pieces, cut where it is quietest."""

import numpy as np

from components.conversation import SAMPLE_RATE, Seconds

LONGEST: Seconds = 120.0  # memory and the wait of others grow with a piece, not with a recording
SEARCHED: Seconds = 20.0  # how far before the end of a piece a quiet place is looked for
QUIET: Seconds = 0.3  # how long a pause the cut is put in the middle of


def pieces(audio: np.ndarray) -> list[tuple[int, int]]:
    """The first and last sample of pieces of at most `LONGEST` that make up a recording.

    Args:
        audio: float32 [samples], mono at 16 kHz.
    """
    most, searched = round(LONGEST * SAMPLE_RATE), round(SEARCHED * SAMPLE_RATE)
    edges = [0]
    while len(audio) - edges[-1] > most:
        end = edges[-1] + most
        edges.append(end - searched + _quietest(audio[end - searched : end]))
    return list(zip(edges, [*edges[1:], len(audio)], strict=True))


def _quietest(audio: np.ndarray) -> int:
    """The middle of the `QUIET` seconds with the least energy, in samples."""
    width = round(QUIET * SAMPLE_RATE)
    energy = np.concatenate([[0.0], np.cumsum(np.square(audio, dtype=np.float64))])
    return int(np.argmin(energy[width:] - energy[:-width])) + width // 2
