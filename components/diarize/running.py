"""Speakers of a conversation that is still going on: one numbering, stretch by stretch.

A diarizer names the speakers of each stretch anew, and hears few voices well in so little. So each
sentence is embedded whole, as in the second hearing, and compared with the speakers heard so far:
who sounds like one is that one, and who sounds like nobody is a new one (incremental clustering, as
diart does it: Coria et al. 2021, arXiv 2109.06483). A number that was given is never given to
another voice.

`FARTHEST` and `FOUNDS` were chosen on synthetic speech: sessions 1 to 4 of the conversations, and 1
and 2 of the demo corpus.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from components.align import sentences as sentences_of
from components.conversation import AsrSegment, Seconds, SpeakerSegment
from components.diarize.diarizer import Diarization, Diarizer
from components.diarize.hearing import hear_each
from components.diarize.moves import Heard, with_moves

FARTHEST = 0.55
"""A voice that is farther (1 − cosine) from all speakers is a new one's."""

FOUNDS: Seconds = 1.0
"""A speaker is not found by a shorter sentence: it is the nearest's who is there."""

LEARNS: Seconds = 0.5
"""A speaker's voice is not learnt from a shorter sentence."""

SHORTEST: Seconds = 0.3
"""A voice is not heard in a shorter sentence: it is its neighbours'."""


class RunningSpeakers:
    """The speakers heard so far. What is kept of their voices goes with this object.

    Args:
        most: how many may speak; None: any number.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._sums: list[np.ndarray] = []
        self._last = 0

    def __len__(self) -> int:
        return len(self._sums)

    def hear(
        self,
        diarizer: Diarizer,
        audio: np.ndarray,
        diarization: Diarization,
        words: Sequence[AsrSegment],
        *,
        step: Callable[[float], None] | None = None,
    ) -> Diarization:
        """The next stretch, its speakers named SPEAKER_00 … in the order in which all stretches
        made them known.

        Args:
            diarizer: of all stretches.
            audio: the stretch, float32 [samples], mono at 16 kHz.
            diarization: of the stretch.
            words: recognised in it.
            step: called with the share that is done; what it raises ends the work.
        """
        stretches = sentences_of(words, diarization.exclusive, diarization.scores)
        long = [one for one in stretches if one[1] - one[0] >= SHORTEST]
        heard = hear_each(diarizer, audio, diarization.exclusive, long, step=step)
        numbers = self._numbers([(one.voice, one.seconds) for one in heard])
        given = self._local(diarization, heard, numbers)
        if diarization.exclusive:
            self._last = given[diarization.exclusive[-1].speaker]
        names = {name: speaker_name(number) for name, number in given.items()}
        found = zip(heard, map(speaker_name, numbers), strict=True)
        return with_moves(_renamed(diarization, names), list(found))

    def _numbers(self, voices: Sequence[tuple[np.ndarray, Seconds]]) -> list[int]:
        """The speaker of each voice, the longest compared first."""
        numbers = [0] * len(voices)
        for place in sorted(range(len(voices)), key=lambda n: -voices[n][1]):
            numbers[place] = self._number(*voices[place])
        return numbers

    def _number(self, voice: np.ndarray, seconds: Seconds) -> int:
        alike = [float(total @ voice) / np.linalg.norm(total) for total in self._sums]
        best = int(np.argmax(alike)) if alike else 0
        full = self._most is not None and len(self._sums) >= self._most
        near = bool(alike) and alike[best] >= 1 - FARTHEST
        if not alike or (not near and seconds >= FOUNDS and not full):
            self._sums.append(voice * max(seconds, SHORTEST))
            return len(self._sums) - 1
        # One that is far and too short for a new speaker's would blur the voice of the nearest.
        if near and seconds >= LEARNS:
            self._sums[best] = self._sums[best] + voice * seconds
        return best

    def _local(
        self, diarization: Diarization, heard: Sequence[Heard], numbers: Sequence[int]
    ) -> dict[str, int]:
        """The speaker of each that the diarizer names in the stretch: whose sentences are most of
        its own; else by the voice; else who spoke last."""
        spoken: dict[str, dict[int, Seconds]] = {}
        for one, number in zip(heard, numbers, strict=True):
            of_owner = spoken.setdefault(one.owner, {})
            of_owner[number] = of_owner.get(number, 0.0) + one.seconds
        given: dict[str, int] = {}
        for name in dict.fromkeys(
            s.speaker for s in (*diarization.exclusive, *diarization.segments)
        ):
            if name in spoken:
                given[name] = max(spoken[name], key=spoken[name].__getitem__)
            elif name in diarization.voices:
                given[name] = self._number(diarization.voices[name], 0.0)
            else:
                given[name] = self._last
        return given


def speaker_name(number: int) -> str:
    """A running speaker's name.

    >>> speaker_name(1)
    'SPEAKER_01'
    """
    return f"SPEAKER_{number:02d}"


def _renamed(diarization: Diarization, given: Mapping[str, str]) -> Diarization:
    def renamed(segments: tuple[SpeakerSegment, ...]) -> tuple[SpeakerSegment, ...]:
        return tuple(sorted(replace(s, speaker=given.get(s.speaker, s.speaker)) for s in segments))

    scores = diarization.scores
    return replace(
        diarization,
        segments=renamed(diarization.segments),
        exclusive=renamed(diarization.exclusive),
        voices={},
        scores=scores and scores.renamed(given),
    )
