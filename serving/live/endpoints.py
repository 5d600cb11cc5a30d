"""Where speech begins and ends in sound that is still coming in.

Silero's voice activity detector, which faster-whisper brings with it, hears 32 ms at a time and
keeps its state from one to the next. A stretch ends where nobody has spoken for a moment; one that
goes on for long is cut where speech is least probable.

    sound     ........|speech speech|.|speech|......|speech …
    stretch          |----------------------|
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from components.conversation import SAMPLE_RATE, Seconds

FRAME = 512
"""Samples of 16 kHz that the detector hears at once."""

CONTEXT = 64
"""Samples before them that it hears again."""

ONSET, OFFSET = 0.5, 0.35
"""Speech begins above the one probability, and ends below the other (Silero's)."""

PAUSE: Seconds = 0.4
"""So long nobody speaks at a stretch's end."""

BEFORE: Seconds = 0.3
"""So much before the onset belongs to the stretch: the detector finds a word once it has begun."""

AFTER: Seconds = 0.3
"""Likewise after the last speech."""

LONGEST: Seconds = 7.0
"""A stretch that is longer is cut."""

SEARCH: Seconds = 4.0
"""The cut is made within the last seconds of such a stretch."""

SHORTEST: Seconds = 0.2
"""Less speech than this is none."""


@dataclass(slots=True)
class _Stretch:
    """Speech that has not ended yet: frames, counted from the beginning of the sound."""

    first: int
    voiced: int = 0
    last_voiced: int = 0
    scores: list[float] = field(default_factory=list)


class Endpointer:
    """Finds stretches of speech in sound that comes in piece by piece; one conversation's."""

    def __init__(self) -> None:
        from faster_whisper.vad import get_vad_model

        self._session = get_vad_model().session
        self._state = {name: np.zeros((1, 1, 128), np.float32) for name in ("h", "c")}
        self._heard = np.zeros(CONTEXT, np.float32)  # the context, then what fills no frame yet
        self._frames = 0
        self._open: _Stretch | None = None
        self._ended = 0
        self._found: deque[tuple[Seconds, Seconds]] = deque()

    def hear(self, sound: np.ndarray) -> list[tuple[Seconds, Seconds]]:
        """The next piece.

        Args:
            sound: float32 [samples], mono at 16 kHz, of any length.

        Returns:
            Start and end, from the beginning of the sound, of each stretch that has ended.
        """
        self._heard = np.concatenate([self._heard, sound])
        position = CONTEXT
        while position + FRAME <= len(self._heard):
            self._frame(self._probability(self._heard[position - CONTEXT : position + FRAME]))
            position += FRAME
        self._heard = self._heard[position - CONTEXT :]
        return self._taken()

    def end(self) -> list[tuple[Seconds, Seconds]]:
        """The stretch that the sound's end ends, if there is one."""
        if self._open:
            self._close(self._open.last_voiced)
        return self._taken()

    def _probability(self, window: np.ndarray) -> float:
        output, h, c = self._session.run(None, {"input": window[None], **self._state})
        self._state = {"h": h, "c": c}
        return float(np.asarray(output).reshape(-1)[0])

    def _frame(self, probability: float) -> None:
        number, self._frames = self._frames, self._frames + 1
        if self._open is None:
            if probability < ONSET:
                return
            before = round(BEFORE * SAMPLE_RATE / FRAME)
            self._open = _Stretch(max(self._ended, number - before))
            self._open.scores = [0.0] * (number - self._open.first)
        stretch = self._open
        stretch.scores.append(probability)
        if probability >= OFFSET:
            stretch.voiced, stretch.last_voiced = stretch.voiced + 1, number
        if _seconds(number - stretch.last_voiced) >= PAUSE:
            self._close(stretch.last_voiced)
        elif _seconds(number - stretch.first) >= LONGEST:
            search = round(SEARCH * SAMPLE_RATE / FRAME)
            quietest = len(stretch.scores) - search + int(np.argmin(stretch.scores[-search:]))
            rest = stretch.scores[quietest + 1 :]
            self._close(stretch.first + quietest, margin=0)
            later = [n for n, score in enumerate(rest) if score >= OFFSET]
            self._open = _Stretch(self._ended, len(later), number, rest)

    def _close(self, last: int, margin: Seconds = AFTER) -> None:
        """The open stretch ends with this frame."""
        assert self._open is not None
        stretch, self._open = self._open, None
        end = min(last + 1 + round(margin * SAMPLE_RATE / FRAME), self._frames)
        self._ended = end
        if _seconds(stretch.voiced) >= SHORTEST:
            self._found.append((_seconds(stretch.first), _seconds(end)))

    def _taken(self) -> list[tuple[Seconds, Seconds]]:
        found = list(self._found)
        self._found.clear()
        return found


def _seconds(frames: int) -> Seconds:
    return frames * FRAME / SAMPLE_RATE
