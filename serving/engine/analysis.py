"""What is found in a recording, and who is asked for the emotions in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from components.config import VersionSpeech
from components.conversation import Seconds, SpeakerSegment, Turn, Word

if TYPE_CHECKING:
    from components.fusion import Clip


class Classify(Protocol):
    """A model version that is asked for emotions."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The k emotions that it tells apart, in the order of its answers."""
        ...

    def __call__(self, clips: "Sequence[Clip]") -> np.ndarray:
        """The probabilities [n, k] of n clips (waveform and words)."""
        ...


@dataclass(frozen=True, slots=True)
class Analysis:
    """A recording's turns.

    Attributes:
        duration: of the recording, in seconds.
        turns: ordered by start.
        speakers: who spoke when, overlapping speech kept.
        words: in order of start, each with its speaker; only on request.
        unaligned: the recogniser's segments, whole, each with the speaker who overlaps it most:
            the paper's “without alignment”; only on request, and not where channels are speakers.
        peaks: the outline of the sound, see `components.conversation.peaks`; only on request.
        words_without_times: how many; they share their neighbours' gap.
        notes: what is to be said of the sound, see `components.conversation.Sound`, and of a
            language that the model was not made for.
        language: in which it was read, as given or heard; empty where it holds no sound.
        speech: what decided the turns, where a service looks after that.
    """

    duration: Seconds
    turns: tuple[Turn, ...]
    speakers: tuple[SpeakerSegment, ...]
    words: tuple[Word, ...] = ()
    unaligned: tuple[Turn, ...] | None = None
    peaks: tuple[int, ...] | None = None
    words_without_times: int = 0
    notes: tuple[str, ...] = ()
    speech: VersionSpeech | None = None
    language: str = ""
