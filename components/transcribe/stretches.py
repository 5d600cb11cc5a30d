"""Stretches of speech that are given, in the place of whisperx's voice activity detector."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from components.conversation import Seconds

LONGEST: Seconds = 30.0  # what Whisper hears at once
SHORTEST: Seconds = 0.1  # nothing is said in less


def pieces(
    stretches: Sequence[tuple[Seconds, Seconds]], length: Seconds
) -> Iterator[tuple[Seconds, Seconds]]:
    """The stretches as Whisper can hear them.

    One beyond `LONGEST` is cut into equal parts; what lies beyond the recording's end, or is too
    short to say anything, is left out::

        given   |---------- 50 s ----------|  || |--- 4 s ---|
        heard   |---- 25 s ---|--- 25 s ---|     |--- 4 s ---|

    Args:
        stretches: start and end of each, in any order; they may overlap.
        length: of the recording.
    """
    for start, marked in sorted(stretches):
        end = min(marked, length)
        if end - start < SHORTEST:
            continue
        parts = math.ceil((end - start) / LONGEST)
        step = (end - start) / parts
        for part in range(parts):
            yield start + part * step, end if part == parts - 1 else start + (part + 1) * step


def given(stretches: Sequence[tuple[Seconds, Seconds]], length: Seconds) -> Any:
    """A `whisperx.vads.Vad` that answers with the stretches, for a pipeline's `vad_model`."""
    from whisperx.vads import Vad

    class Given(Vad):
        """Hears nothing: it was told."""

        def __call__(self, audio: Any, **_: Any) -> list[tuple[Seconds, Seconds]]:
            return list(pieces(stretches, length))

        @staticmethod
        def merge_chunks(
            segments: Sequence[tuple[Seconds, Seconds]], *_: Any, **__: Any
        ) -> list[dict[str, Any]]:
            # WhisperX would join neighbours into stretches of up to 30 s: here each stays its own.
            return [{"start": a, "end": b, "segments": [(a, b)]} for a, b in segments]

    return Given(vad_onset=0.5)
