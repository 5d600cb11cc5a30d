"""How a system's turns differ from the reference's utterances: why its emotions can be wrong.

    utterances  |A: I am so sorry to hear|    |B: oh, no|   |A: please|
    turns       |1: I am|  |1: sorry|    |2: here oh no          please|

A's first utterance is broken (its words stand in three turns), one word of it is lost (“so”), one
is misattributed (“hear”, heard by 2, who is B). The last turn is merged: of three utterances, of
two speakers, over two pauses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.conversation import DEFAULT_LABELS, Seconds, Turn, Utterance
from components.scoring.timed import map_speakers
from components.scoring.words import pair_words

MIN_PAUSE: Seconds = 0.2
"""A shorter silence between utterances is no pause."""


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
        emotions: how many of the emotions that are scored these utterances have.
        misattributed: words of other speakers than the turn's.
        pauses: silences of the reference, of `MIN_PAUSE` or longer, that it reaches across.
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
    """A corpus' faults: one entry for each utterance and each turn, in the order given."""

    utterances: tuple[UtteranceFaults, ...]
    turns: tuple[TurnFaults, ...]


def find_faults(
    utterances: Sequence[Utterance],
    turns: Iterable[Turn],
    labels: Sequence[str] = DEFAULT_LABELS,
) -> Faults:
    """Compare turns with the utterances of the same recordings.

    Words are paired by time and text (`pair_words`), speakers mapped as for sTEER. Emotions that
    the turns may carry are not looked at.

    >>> faults = find_faults(
    ...     [
    ...         Utterance("u1", "r", 0.0, 2.0, "A", None, "so it is", "sad"),
    ...         Utterance("u2", "r", 3.0, 4.0, "A", None, "yes", "happy"),
    ...     ],
    ...     [Turn("r", 0.0, 4.0, "1", "so it is yes")],
    ... )
    >>> faults.turns[0].utterances, faults.turns[0].emotions, faults.turns[0].pause_seconds
    (2, 2, 1.0)

    Args:
        labels: the emotions that are scored.
    """
    turns = list(turns)
    utterance_indices = _indices(u.recording for u in utterances)
    turn_indices = _indices(turn.session_id for turn in turns)
    utterance_faults: dict[int, UtteranceFaults] = {}
    turn_faults: dict[int, TurnFaults] = {}
    for name, in_reference in utterance_indices.items():
        in_hypothesis = turn_indices.get(name, [])
        sides = [utterances[i] for i in in_reference], [turns[i] for i in in_hypothesis]
        faults = _of_recording(*sides, labels)
        utterance_faults |= zip(in_reference, faults.utterances, strict=True)
        turn_faults |= zip(in_hypothesis, faults.turns, strict=True)
    return Faults(
        tuple(utterance_faults[i] for i in range(len(utterances))),
        tuple(turn_faults[i] for i in range(len(turns))),
    )


def _indices(names: Iterable[str]) -> dict[str, list[int]]:
    """Where each name stands in a list."""
    indices: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        indices.setdefault(name, []).append(index)
    return indices


def _of_recording(
    utterances: Sequence[Utterance], turns: Sequence[Turn], labels: Sequence[str]
) -> Faults:
    reference = [utterance.as_turn() for utterance in utterances]
    mapping = map_speakers(reference, turns)
    words, lost, wrong = ([0] * len(utterances) for _ in range(3))
    in_turns: list[set[int]] = [set() for _ in utterances]
    holds: list[set[int]] = [set() for _ in turns]
    wrong_in_turn = [0] * len(turns)
    for u, t in pair_words(reference, turns):
        if u is None:
            continue
        words[u] += 1
        if t is None:
            lost[u] += 1
            continue
        in_turns[u].add(t)
        holds[t].add(u)
        if mapping.get(turns[t].speaker) != utterances[u].speaker:
            wrong[u] += 1
            wrong_in_turn[t] += 1
    silences = _silences(utterances)
    turn_faults = []
    for t, turn in enumerate(turns):
        held = [utterances[u] for u in holds[t]]
        bridged = [b - a for a, b in silences if turn.start < a and b < turn.end]
        turn_faults.append(
            TurnFaults(
                utterances=len(held),
                speakers=len({utterance.speaker for utterance in held}),
                emotions=len({utterance.emotion for utterance in held} & set(labels)),
                misattributed=wrong_in_turn[t],
                pauses=len(bridged),
                pause_seconds=sum(bridged),
            )
        )
    utterance_faults = [
        UtteranceFaults(
            words=words[u],
            lost=lost[u],
            misattributed=wrong[u],
            turns=len(in_turns[u]),
            merged=any(turn_faults[t].utterances > 1 for t in in_turns[u]),
            mixed=any(turn_faults[t].speakers > 1 for t in in_turns[u]),
        )
        for u in range(len(utterances))
    ]
    return Faults(tuple(utterance_faults), tuple(turn_faults))


def _silences(utterances: Sequence[Utterance]) -> list[tuple[Seconds, Seconds]]:
    """Between the first utterance and the last, the stretches in which nobody speaks."""
    silences, reach = [], float("inf")
    for utterance in sorted(utterances, key=lambda u: u.start):
        if round(utterance.start - reach, 6) >= MIN_PAUSE:
            silences.append((reach, utterance.start))
        reach = utterance.end if reach == float("inf") else max(reach, utterance.end)
    return silences
