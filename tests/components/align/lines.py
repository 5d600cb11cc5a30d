"""Time lines small enough to check by eye."""

import numpy as np

from components.align import attribute
from components.conversation import (
    AsrSegment,
    SpeakerSegment,
    Word,
)


def segment(*words: Word, start: float = 0.0, end: float = 100.0) -> AsrSegment:
    return AsrSegment(start, end, " ".join(w.text for w in words), words)


def who(start: float, end: float, *speakers: SpeakerSegment, max_pause: float = 1.5) -> str:
    return attribute(np.array([start]), np.array([end]), speakers, max_pause=max_pause)[0]


A = [SpeakerSegment(0.0, 2.0, "A")]


AB = [SpeakerSegment(0.0, 2.0, "A"), SpeakerSegment(2.0, 4.0, "B")]
