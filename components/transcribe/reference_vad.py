"""In place of WhisperX's voice activity detector: a reference's stretches, or one that reports."""

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

from components.conversation import Seconds

MAX_STRETCH: Seconds = 30.0
"""Whisper reads this much at once."""

MIN_STRETCH: Seconds = 0.1
"""Nothing can be said in less."""


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


def reference_vad(stretches: Sequence[tuple[Seconds, Seconds]], length: Seconds) -> Any:
    """A `whisperx.vads.Vad` that returns the stretches, for a pipeline's `vad_model`."""
    from whisperx.vads import Vad

    class ReferenceVad(Vad):
        def __call__(self, audio: Any, **_: Any) -> list[tuple[Seconds, Seconds]]:
            return list(cut_stretches(stretches, length))

        @staticmethod
        def merge_chunks(
            segments: Sequence[tuple[Seconds, Seconds]], *_: Any, **__: Any
        ) -> list[dict[str, Any]]:
            # WhisperX would join neighbours into stretches of up to 30 s; here each stays apart.
            return [{"start": a, "end": b, "segments": [(a, b)]} for a, b in segments]

    return ReferenceVad(vad_onset=0.5)


def reporting_vad(detector: Any, report: Callable[[float], None]) -> Any:
    """The detector, which reports 0 percent of the words when it is through."""

    class ReportingVad(type(detector)):  # type: ignore[misc]
        def __call__(self, audio: Any, **options: Any) -> Any:
            found = super().__call__(audio, **options)
            report(0.0)
            return found

    twin = copy(detector)
    twin.__class__ = ReportingVad
    return twin
