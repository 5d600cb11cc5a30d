"""What a system predicts for each reference utterance, whatever turns it cut the speech into."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from components.conversation import DEFAULT_LABELS, Turn, Utterance
from components.scoring.score import turns_by_recording
from components.scoring.timed import map_speakers


@dataclass(frozen=True, slots=True)
class UtterancePrediction:
    """A system's emotion of one reference utterance.

    Attributes:
        emotion: None where no turn of the mapped speaker with an emotion overlaps it.
        confidence: mean confidence, by time, of the turns with that emotion; None where not known.
        asr_confidence: mean score of the words, by time, of all the speaker's turns that overlap
            it; likewise.
    """

    emotion: str | None
    confidence: float | None = None
    asr_confidence: float | None = None


NONE = UtterancePrediction(None)


def utterance_predictions(
    utterances: Sequence[Utterance],
    turns: Iterable[Turn],
    labels: Sequence[str] = DEFAULT_LABELS,
) -> list[UtterancePrediction]:
    """Give each utterance the emotion that most of its speaker's turns have, by time.

    Speakers are mapped one to one by overlap in each recording (all utterances count for that,
    the unscored too). Overlaps are compared after rounding to a microsecond; a tie goes to the
    first in the order of the labels. ::

        utterance   |-------- A: sad --------|
        turns     |- 1 sad -|- 1 angry -----------|     angry (1 is mapped to A)
                       |------- 2 sad -------|          not A's: does not count

    >>> said = Utterance("u1", "call", 0.0, 4.0, "A", None, "I am sorry", "sad")
    >>> utterance_predictions(
    ...     [said],
    ...     [
    ...         Turn("call", 0.0, 1.5, "1", "I am", emotion="sad"),
    ...         Turn("call", 1.5, 4.0, "1", "sorry", emotion="angry"),
    ...     ],
    ... )[0].emotion
    'angry'

    Args:
        labels: whose order decides a tie; other emotions come after them, in alphabetical order.

    Returns:
        One prediction for each utterance, in their order.
    """
    hypothesis = turns_by_recording(turns)
    reference = turns_by_recording(u.as_turn() for u in utterances)
    speech: dict[tuple[str, str], list[Turn]] = defaultdict(list)
    for name, reference_turns in reference.items():
        mapping = map_speakers(reference_turns, hypothesis.get(name, []))
        for turn in hypothesis.get(name, []):
            if turn.emotion is not None and turn.speaker in mapping:
                speech[name, mapping[turn.speaker]].append(turn)
    speakers = {key: _SpeakerTurns(speaker_turns, labels) for key, speaker_turns in speech.items()}
    return [
        speakers[key].prediction(u) if (key := (u.recording, u.speaker)) in speakers else NONE
        for u in utterances
    ]


class _SpeakerTurns:
    """One speaker's turns, indexed by time."""

    def __init__(self, turns: list[Turn], labels: Sequence[str]) -> None:
        self.labels = labels
        self.turns = sorted(turns, key=lambda turn: turn.start)
        self.starts = np.array([turn.start for turn in self.turns])
        # Ends of overlapping turns may run backwards; their running maximum does not.
        self.reach = np.maximum.accumulate([turn.end for turn in self.turns])

    def prediction(self, utterance: Utterance) -> UtterancePrediction:
        first = int(np.searchsorted(self.reach, utterance.start, side="right"))
        last = int(np.searchsorted(self.starts, utterance.end, side="left"))
        overlaps = [
            (min(turn.end, utterance.end) - max(turn.start, utterance.start), turn)
            for turn in self.turns[first:last]
        ]
        overlapping = [(shared, turn) for shared, turn in overlaps if round(shared, 6) > 0]
        if not overlapping:
            return NONE
        seconds: dict[str, float] = defaultdict(float)
        for shared, turn in overlapping:
            seconds[str(turn.emotion)] += shared
        order = (*self.labels, *sorted(seconds))
        emotion = min(seconds, key=lambda name: (-round(seconds[name], 6), order.index(name)))
        return UtterancePrediction(
            emotion,
            _mean((shared, t.confidence) for shared, t in overlapping if t.emotion == emotion),
            _mean((shared, t.asr_confidence) for shared, t in overlapping),
        )


def _mean(weighted: Iterable[tuple[float, float | None]]) -> float | None:
    """The mean of those values that are known; None of none."""
    known = [(weight, value) for weight, value in weighted if value is not None]
    if not known:
        return None
    weights, values = zip(*known, strict=True)
    return float(np.average(values, weights=weights))
