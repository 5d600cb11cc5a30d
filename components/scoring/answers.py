"""What a system answers for each reference utterance, whatever turns it cut the speech into."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from components.conversation import EMOTIONS, Turn, Utterance
from components.scoring.score import by_recording
from components.scoring.timed import map_speakers


@dataclass(frozen=True, slots=True)
class Answer:
    """An utterance's answer.

    Attributes:
        emotion: None where no turn of the mapped speaker with an emotion overlaps it.
        confidence: mean confidence, by time, of the turns that answered; None where not known.
        asr_confidence: mean score of the words, by time, of all the speaker's turns that overlap
            it; likewise.
    """

    emotion: str | None
    confidence: float | None = None
    asr_confidence: float | None = None


NOTHING = Answer(None)


def answers(utterances: Sequence[Utterance], turns: Iterable[Turn]) -> list[Answer]:
    """Answer each utterance by the emotion that most of its speaker's turns have, by time.

    Speakers are mapped one to one by overlap in each recording (all utterances count for that,
    the unscored too). Overlaps are compared after rounding to a microsecond; a tie goes to the
    first in the order of `EMOTIONS`. ::

        utterance   |-------- A: sad --------|
        turns     |- 1 sad -|- 1 angry -----------|     angry (1 is mapped to A)
                       |------- 2 sad -------|          not A's: does not count

    Returns:
        One answer for each utterance, in their order.
    """
    by_name = by_recording(turns)
    reference = by_recording(u.as_turn() for u in utterances)
    spoken: dict[tuple[str, str], list[Turn]] = {}
    for name, theirs in reference.items():
        mapping = map_speakers(theirs, by_name.get(name, []))
        for turn in by_name.get(name, []):
            if turn.emotion is not None and turn.speaker in mapping:
                spoken.setdefault((name, mapping[turn.speaker]), []).append(turn)
    stacks = {key: _Spoken(found) for key, found in spoken.items()}
    return [
        stacks[key].answer(utterance) if (key := (utterance.recording, utterance.speaker)) in stacks
        else NOTHING
        for utterance in utterances
    ]  # fmt: skip


class _Spoken:
    """One speaker's turns, ready to be asked for those that overlap a stretch."""

    def __init__(self, turns: list[Turn]) -> None:
        self.turns = sorted(turns, key=lambda turn: turn.start)
        self.starts = np.array([turn.start for turn in self.turns])
        # Ends of overlapping turns may run backwards; their running maximum does not.
        self.reach = np.maximum.accumulate([turn.end for turn in self.turns])

    def answer(self, utterance: Utterance) -> Answer:
        first = int(np.searchsorted(self.reach, utterance.start, side="right"))
        last = int(np.searchsorted(self.starts, utterance.end, side="left"))
        heard: list[tuple[float, Turn]] = []
        for turn in self.turns[first:last]:
            shared = min(turn.end, utterance.end) - max(turn.start, utterance.start)
            if round(shared, 6) > 0:
                heard.append((shared, turn))
        if not heard:
            return NOTHING
        seconds: dict[str, float] = {}
        for shared, turn in heard:
            name = str(turn.emotion)
            seconds[name] = seconds.get(name, 0.0) + shared
        emotion = min(seconds, key=lambda name: (-round(seconds[name], 6), _rank(name)))
        return Answer(
            emotion,
            _mean((shared, t.confidence) for shared, t in heard if t.emotion == emotion),
            _mean((shared, t.asr_confidence) for shared, t in heard),
        )


def _mean(weighted: Iterable[tuple[float, float | None]]) -> float | None:
    """The mean of those values that are known; None of none."""
    known = [(weight, value) for weight, value in weighted if value is not None]
    if not known:
        return None
    weights, values = zip(*known, strict=True)
    return float(np.average(values, weights=weights))


def _rank(emotion: str) -> tuple[int, str]:
    return (EMOTIONS.index(emotion) if emotion in EMOTIONS else len(EMOTIONS), emotion)
