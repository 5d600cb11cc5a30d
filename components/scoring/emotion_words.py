"""cpWER for emotions: each word, its speaker and its emotion must be right."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from components.conversation import DEFAULT_LABELS, Turn
from components.scoring.errors import WordErrors
from components.scoring.words import normalise

Turns = Sequence[Turn]
Spoken = dict[str, dict[str | None, list[int]]]
"""Each speaker's words of each emotion in order, as numbers: equal words, equal numbers."""


def emotion_cpwer(
    reference: Turns, hypothesis: Turns, labels: Sequence[str] = DEFAULT_LABELS
) -> WordErrors:
    """cpWER of one recording in which a word of another emotion is another word.

    As sTEER is to DER: each speaker's words of each emotion are joined in order of start, emotions
    are compared as they are, and speakers are paired one to one for the fewest word errors. With
    one emotion throughout it is `cpwer`. A word whose emotion is wrong counts twice, as one whose
    speaker is wrong does: it is missing in one place, and too much in the other.

    Reference turns of none of the labels are left out, and with them the words that are heard
    during them and during no other: a turn's words are taken to be spread evenly over it. ::

        reference   A sad    how are you       B angry   fine
        hypothesis  1 sad    how are           2 angry   fine
                    1 happy  you                                  2 errors in 4 words

    >>> emotion_cpwer(
    ...     [Turn("r", 0, 2, "A", "how are you", "sad"), Turn("r", 2, 3, "B", "fine", "angry")],
    ...     [Turn("r", 0, 1, "1", "how are", "sad"), Turn("r", 1, 2, "1", "you", "happy"),
    ...      Turn("r", 2, 3, "2", "fine", "angry")],
    ... )
    WordErrors(errors=2, length=4)

    Args:
        reference: turns with words and emotions.
        hypothesis: the same; one without an emotion matches nothing.
        labels: the emotions that are scored.
    """
    from rapidfuzz.distance import Levenshtein
    from scipy.optimize import linear_sum_assignment

    words = [[normalise(turn.words) for turn in turns] for turns in (reference, hypothesis)]
    if any(turn.emotion not in labels for turn in reference):
        words = _without_other(reference, hypothesis, words, labels)
    numbers: dict[str, int] = {}
    spoken, heard = (
        list(_by_speaker(turns, own, numbers).values())
        for turns, own in zip((reference, hypothesis), words, strict=True)
    )
    length = sum(len(part) for parts in spoken for part in parts.values())
    size = max(len(spoken), len(heard))
    costs = np.zeros((size, size), dtype=int)
    for row, one in enumerate([*spoken, *({},) * (size - len(spoken))]):
        for column, other in enumerate([*heard, *({},) * (size - len(heard))]):
            costs[row, column] = sum(
                Levenshtein.distance(one.get(emotion, []), other.get(emotion, []))
                for emotion in one.keys() | other.keys()
            )
    pairs = linear_sum_assignment(costs)
    return WordErrors(int(costs[pairs].sum()), length)


def _without_other(
    reference: Turns, hypothesis: Turns, words: list[list[list[str]]], labels: Sequence[str]
) -> list[list[list[str]]]:
    """Both sides' words without those that are not scored."""
    scored = [turn.emotion in labels for turn in reference]
    middles = [
        turn.start + turn.duration * (np.arange(len(own)) + 0.5) / max(len(own), 1)
        for turn, own in zip(hypothesis, words[1], strict=True)
    ]
    times = np.concatenate([*middles, np.empty(0)])
    groups = (
        [t for t, s in zip(reference, scored, strict=True) if s is kind] for kind in (False, True)
    )
    other, own = (_covered(times, turns) for turns in groups)
    dropped = iter((other & ~own).tolist())
    return [
        [turn_words if s else [] for turn_words, s in zip(words[0], scored, strict=True)],
        [[word for word in turn_words if not next(dropped)] for turn_words in words[1]],
    ]


def _covered(times: np.ndarray, turns: Turns) -> np.ndarray:
    """Whether each moment lies within a turn."""
    starts, ends = (np.sort([getattr(turn, edge) for turn in turns]) for edge in ("start", "end"))
    begun, ended = (np.searchsorted(edges, times, side="right") for edges in (starts, ends))
    return np.asarray(begun > ended)


def _by_speaker(turns: Turns, words: Sequence[Sequence[str]], numbers: dict[str, int]) -> Spoken:
    spoken: Spoken = defaultdict(lambda: defaultdict(list))
    for turn, own in sorted(zip(turns, words, strict=True), key=lambda pair: pair[0].start):
        spoken[turn.speaker][turn.emotion] += [numbers.setdefault(w, len(numbers)) for w in own]
    return spoken
