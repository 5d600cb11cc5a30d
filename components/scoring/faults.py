"""How a system's turns differ from the reference's utterances: why its emotions can be wrong.

    utterances  |A: I am so sorry to hear|    |B: oh, no|   |A: please|
    turns       |1: I am|  |1: sorry|    |2: here oh no          please|

A's first utterance is broken (its words stand in three turns), one word of it is lost (“so”), one
is misattributed (“hear”, heard by 2, who is B). The last turn is merged: of three utterances, of
two speakers, over two pauses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.conversation import EMOTIONS, Seconds, Turn, Utterance
from components.scoring.timed import map_speakers
from components.scoring.words import pair_words

PAUSE: Seconds = 0.2
"""A shorter silence between utterances is none that a turn could bridge."""


@dataclass(frozen=True, slots=True)
class UtteranceFaults:
    """What became of one utterance's words.

    Attributes:
        words: how many it has.
        lost: of them, those that no word of any turn stands for.
        misattributed: those that stand in a turn of another speaker, or of none.
        turns: in how many turns they stand.
        merged: one of these turns has words of another utterance as well.
        mixed: one of these turns has words of an utterance of another speaker.
    """

    words: int
    lost: int
    misattributed: int
    turns: int
    merged: bool
    mixed: bool

    @property
    def broken(self) -> bool:
        """Its words stand in several turns."""
        return self.turns > 1

    @property
    def whole(self) -> bool:
        """Its words stand in one turn, of its speaker, that holds nothing else."""
        return self.turns == 1 and not self.merged and not self.misattributed


@dataclass(frozen=True, slots=True)
class TurnFaults:
    """What one turn holds.

    Attributes:
        utterances: how many utterances' words.
        speakers: how many speakers' words.
        emotions: how many of the four emotions these utterances have.
        misattributed: words that another than the turn's speaker said.
        pauses: silences of the reference, of `PAUSE` or longer, that it reaches across.
        pause_seconds: how long they last together.
    """

    utterances: int
    speakers: int
    emotions: int
    misattributed: int
    pauses: int
    pause_seconds: Seconds


@dataclass(frozen=True, slots=True)
class Faults:
    """Of a whole corpus: one entry for each utterance and each turn, in the order given."""

    utterances: tuple[UtteranceFaults, ...]
    turns: tuple[TurnFaults, ...]


def find_faults(utterances: Sequence[Utterance], turns: Iterable[Turn]) -> Faults:
    """Compare turns with the utterances of the same recordings.

    Words are paired by time and text (`pair_words`), speakers mapped as for sTEER. Emotions that
    the turns may carry are not looked at.
    """
    turns = list(turns)
    theirs: dict[str, list[int]] = {}
    for place, utterance in enumerate(utterances):
        theirs.setdefault(utterance.recording, []).append(place)
    ours: dict[str, list[int]] = {}
    for place, turn in enumerate(turns):
        ours.setdefault(turn.session_id, []).append(place)
    of_utterances: dict[int, UtteranceFaults] = {}
    of_turns: dict[int, TurnFaults] = {}
    for name, places in theirs.items():
        own = ours.get(name, [])
        found = _of_recording([utterances[p] for p in places], [turns[p] for p in own])
        of_utterances |= zip(places, found.utterances, strict=True)
        of_turns |= zip(own, found.turns, strict=True)
    return Faults(
        tuple(of_utterances[place] for place in range(len(utterances))),
        tuple(of_turns[place] for place in range(len(turns))),
    )


def _of_recording(utterances: Sequence[Utterance], turns: Sequence[Turn]) -> Faults:
    reference = [utterance.as_turn() for utterance in utterances]
    mapping = map_speakers(reference, turns)
    words, lost, wrong = ([0] * len(utterances) for _ in range(3))
    in_turns: list[set[int]] = [set() for _ in utterances]
    holds: list[set[int]] = [set() for _ in turns]
    strange = [0] * len(turns)
    for place, where in pair_words(reference, turns):
        if place is None:
            continue
        words[place] += 1
        if where is None:
            lost[place] += 1
            continue
        in_turns[place].add(where)
        holds[where].add(place)
        if mapping.get(turns[where].speaker) != utterances[place].speaker:
            wrong[place] += 1
            strange[where] += 1
    silences = _silences(utterances)
    of_turns = []
    for number, turn in enumerate(turns):
        held = [utterances[place] for place in holds[number]]
        bridged = [b - a for a, b in silences if turn.start < a and b < turn.end]
        of_turns.append(
            TurnFaults(
                len(held),
                len({u.speaker for u in held}),
                len({u.emotion for u in held} & set(EMOTIONS)),
                strange[number],
                len(bridged),
                sum(bridged),
            )
        )
    of_utterances = [
        UtteranceFaults(
            words[place],
            lost[place],
            wrong[place],
            len(in_turns[place]),
            any(of_turns[turn].utterances > 1 for turn in in_turns[place]),
            any(of_turns[turn].speakers > 1 for turn in in_turns[place]),
        )
        for place in range(len(utterances))
    ]
    return Faults(tuple(of_utterances), tuple(of_turns))


def _silences(utterances: Sequence[Utterance]) -> list[tuple[Seconds, Seconds]]:
    """Between the first utterance and the last, the stretches in which nobody speaks."""
    found, reach = [], float("inf")
    for utterance in sorted(utterances, key=lambda u: u.start):
        if round(utterance.start - reach, 6) >= PAUSE:
            found.append((reach, utterance.start))
        reach = utterance.end if reach == float("inf") else max(reach, utterance.end)
    return found
