"""Who said each word: word-speaker error, changes of speaker, utterances kept whole.

    reference   |A how are you|   |B fine|   |A good|
    hypothesis  |1 how are|   |2 you fine|   |1 good|
    wrong                         you                      1 of 5 words
    changes                       .          ×             1 of 2 found, 1 of 2 right: “you” begins
                                                           0.4 s before “fine”
    whole                                    ×             1 of 3 utterances

cpWER and tcpWER stand beside them; they count what the recogniser got wrong as well.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from components.base import InputError
from components.conversation import UNKNOWN, Seconds, Turn
from components.scoring.errors import Matches, Share, WordErrors
from components.scoring.score import pair_recordings
from components.scoring.sweep import PRECISION
from components.scoring.words import cpwer, normalise, pair_words, tcpwer, too_many_timed

Turns = Sequence[Turn]

TOLERANCE: Seconds = 0.25
"""A change of speaker is found where the hypothesis has one at most this far from it."""

MOST_WORDS = 40_000
"""The most words of one recording: those of 4 hours. Pairing them takes 5 GB, and four times as
much for twice as many."""

DIGITS = 6
"""Distances are compared after rounding to a microsecond."""


@dataclass(frozen=True, slots=True)
class WordSpeakers:
    """What `moodline score --words` prints. They add up over recordings.

    Attributes:
        errors: words given to another speaker than their own, of the words that both sides have.
            Speakers are mapped one to one, for the most words; `unknown` is never right.
        changes: changes of speaker, found within `TOLERANCE`.
        whole: utterances whose words stand in one turn, of their speaker, that holds nothing else.
        cpwer: as `cpwer` counts it.
        tcpwer: as `tcpwer` counts it; None where a recording has too many speakers for it.
    """

    errors: WordErrors
    changes: Matches
    whole: Share
    cpwer: WordErrors
    tcpwer: WordErrors | None

    @classmethod
    def zero(cls) -> Self:
        """The neutral element of addition."""
        none = WordErrors.zero()
        return cls(none, Matches.zero(), Share.zero(), none, none)

    def __add__(self, other: "WordSpeakers") -> "WordSpeakers":
        if not isinstance(other, WordSpeakers):
            return NotImplemented
        return WordSpeakers(
            self.errors + other.errors,
            self.changes + other.changes,
            self.whole + other.whole,
            self.cpwer + other.cpwer,
            None if self.tcpwer is None or other.tcpwer is None else self.tcpwer + other.tcpwer,
        )

    def to_json(self) -> dict[str, Any]:
        """As `moodline score --words --json` prints it."""
        return {
            "word_speaker_error": self.errors.to_json(),
            "changes": self.changes.to_json(),
            "whole": self.whole.to_json(),
            "cpwer": self.cpwer.to_json(),
            "tcpwer": self.tcpwer and self.tcpwer.to_json(),
        }


def word_speakers(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    utterances: Sequence[Hashable] | None = None,
    turns: Sequence[Hashable] | None = None,
) -> WordSpeakers:
    """Compare who said each word, summed over recordings.

    Where both sides have the same words in the same order, as when an alignment was given the
    reference's own words, each is compared with itself; else they are paired by time and text
    (`pair_words`).

    >>> scores = word_speakers(
    ...     [Turn("r", 0, 2, "A", "how are you"), Turn("r", 2.4, 3, "B", "fine")],
    ...     [Turn("r", 0, 1.3, "1", "how are"), Turn("r", 1.3, 3, "2", "you fine")],
    ... )
    >>> scores.errors, scores.whole
    (WordErrors(errors=1, length=4), Share(correct=0, total=2))
    >>> scores.changes
    Matches(found=0, hypothesis=1, reference=1)

    Args:
        reference, hypothesis: turns with words; words with their own times as turns of one word.
        utterances, turns: where those are words, a name for what each is of: utterances of the
            reference, turns of the hypothesis. None: each is one by itself.

    Raises:
        InputError: as `score`, or a recording has more than `MOST_WORDS` words.
    """
    sides = list(reference), list(hypothesis)
    names = [
        dict(zip(map(id, side), range(len(side)) if given is None else given, strict=True))
        for side, given in zip(sides, (utterances, turns), strict=True)
    ]
    counted = (
        _of_recording(
            *pair, *([n[id(t)] for t in side] for n, side in zip(names, pair, strict=True))
        )
        for pair in pair_recordings(*sides).values()
    )
    return sum(counted, start=WordSpeakers.zero())


def _of_recording(
    reference: Turns,
    hypothesis: Turns,
    utterances: Sequence[Hashable],
    turns: Sequence[Hashable],
) -> WordSpeakers:
    _check_length(reference, hypothesis)
    pairs = _same_words(reference, hypothesis) or pair_words(reference, hypothesis)
    both = [(r, h) for r, h in pairs if r is not None and h is not None]
    speakers = [(reference[r].speaker, hypothesis[h].speaker) for r, h in both]
    mapping = _map_by_words(speakers)
    right = [mapping.get(heard) == spoken for spoken, heard in speakers]

    stands_in: dict[Hashable, set[Hashable]] = {
        utterances[r]: set() for r, _ in pairs if r is not None
    }
    holds: dict[Hashable, set[Hashable]] = {}
    wrong: set[Hashable] = set()
    for (r, h), is_right in zip(both, right, strict=True):
        stands_in[utterances[r]].add(turns[h])
        holds.setdefault(turns[h], set()).add(utterances[r])
        if not is_right:
            wrong.add(utterances[r])
    whole = sum(
        len(own) == 1 and name not in wrong and holds[next(iter(own))] == {name}
        for name, own in stands_in.items()
    )
    timed = not too_many_timed(reference, hypothesis)
    return WordSpeakers(
        errors=WordErrors(len(right) - sum(right), len(right)),
        changes=_match(speaker_changes(reference), speaker_changes(hypothesis)),
        whole=Share(whole, len(stands_in)),
        cpwer=cpwer(reference, hypothesis),
        tcpwer=tcpwer(reference, hypothesis) if timed else None,
    )


def _check_length(*sides: Turns) -> None:
    for side in sides:
        if (words := sum(len(turn.words.split()) for turn in side)) > MOST_WORDS:
            raise InputError(
                f"recording {side[0].session_id} has {words:,} words; who said each can be told of"
                f" at most {MOST_WORDS:,}: score it in parts"
            )


def _same_words(reference: Turns, hypothesis: Turns) -> list[tuple[int, int]]:
    """Each word with itself, as `pair_words` gives pairs; nothing where the words differ.

    “Mm-hmm” is one word here; where words are paired by text, its two parts are.
    """
    sides = [
        [
            (index, parts)
            for index, turn in sorted(enumerate(turns), key=lambda numbered: numbered[1].start)
            for word in turn.words.split()
            if (parts := normalise(word))
        ]
        for turns in (reference, hypothesis)
    ]
    if [word for _, word in sides[0]] != [word for _, word in sides[1]]:
        return []
    return [(r, h) for (r, _), (h, _) in zip(*sides, strict=True)]


def _map_by_words(speakers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Hypothesis speakers onto reference speakers, one to one, for the most words in common.

    Args:
        speakers: of each word, in the reference and in the hypothesis.
    """
    from scipy.optimize import linear_sum_assignment

    rows = sorted({heard for _, heard in speakers} - {UNKNOWN})
    columns = sorted({spoken for spoken, _ in speakers})
    shared = np.zeros((len(rows), len(columns)), dtype=int)
    for spoken, heard in speakers:
        if heard != UNKNOWN:
            shared[rows.index(heard), columns.index(spoken)] += 1
    pairs = zip(*linear_sum_assignment(-shared), strict=True)
    return {rows[row]: columns[column] for row, column in pairs if shared[row, column]}


def speaker_changes(turns: Iterable[Turn]) -> list[Seconds]:
    """The times at which another speaker takes the word, in order.

    That is where a turn of another speaker begins; and where a turn ends inside a longer one of
    somebody else, who goes on::

        turns    |---------- A ----------|    |--- B ---|
                         |B yeah|
        changes          ×      ×             ×

    >>> speaker_changes([Turn("r", 0, 6, "A", "so …"), Turn("r", 2, 2.5, "B", "yeah")])
    [2, 2.5]
    """
    spoken = [turn for turn in turns if turn.words.strip()]
    edges = [(turn.start, True, index) for index, turn in enumerate(spoken)]
    ends = (max(turn.end, turn.start + PRECISION) for turn in spoken)
    edges += [(end, False, index) for index, end in enumerate(ends)]
    speaking: list[int] = []  # in order of start: the last one has the word
    holders: dict[Seconds, str] = {}
    for time, begins, index in sorted(edges):
        if begins:
            speaking.append(index)
        else:
            speaking.remove(index)
        if speaking:
            holders[time] = spoken[speaking[-1]].speaker
    return [time for (_, one), (time, next_) in pairwise(holders.items()) if next_ != one]


def _match(reference: Sequence[Seconds], hypothesis: Sequence[Seconds]) -> Matches:
    """Pair times in order, one to one, at most `TOLERANCE` apart: no pairing finds more."""
    found = at = 0
    for time in reference:
        while at < len(hypothesis) and round(time - hypothesis[at], DIGITS) > TOLERANCE:
            at += 1
        if at < len(hypothesis) and round(hypothesis[at] - time, DIGITS) <= TOLERANCE:
            found += 1
            at += 1
    return Matches(found, len(hypothesis), len(reference))
