"""cpWER, tcpWER, WER and word-speaker accuracy.

Text is composed (Unicode's NFC: “é” is one letter, however it was written), and the space of no
width, as in Khmer, is a space. Then `jiwer` normalises it: lower case; hyphens, dashes and slashes
become spaces; all other punctuation (Unicode's P, apostrophes included) goes; runs of white space
become one space.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

import numpy as np

from components.base import InputError
from components.conversation import Seconds, Turn
from components.scoring.errors import Share, WordErrors
from components.scoring.timed import map_speakers

Turns = Sequence[Turn]
COLLAR: Seconds = 5.0
"""How far apart aligned words may stand: meeteval's choice where words have no times."""

LONGEST_WORD = 32
"""Texts of at most so many characters are taken for single words."""

TIMED_SPEAKERS = 20
"""The most speakers of one recording that meeteval counts tcpWER for."""


@cache
def _normaliser() -> Any:
    import jiwer

    return jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.SubstituteRegexes({r"[-‐-―/]": " "}),
            jiwer.RemovePunctuation(),
            jiwer.RemoveMultipleSpaces(),
            jiwer.Strip(),
        ]
    )


def normalise(text: str) -> list[str]:
    """A text's words as they are compared.

    >>> normalise("It's twenty-two – OK?")
    ['its', 'twenty', 'two', 'ok']
    """
    return list(_normalised_word(text) if len(text) <= LONGEST_WORD else _normalised(text))


@lru_cache(maxsize=2**16)
def _normalised_word(text: str) -> tuple[str, ...]:
    """Remembered: where turns are single words, jiwer takes 0.2 ms for each, again and again."""
    return tuple(_normalised(text))


def _normalised(text: str) -> list[str]:
    whole = unicodedata.normalize("NFC", text).replace("\u200b", " ")
    return str(_normaliser()(whole)).split()


def cpwer(reference: Turns, hypothesis: Turns) -> WordErrors:
    """Concatenated minimum-permutation word errors of one recording (Watanabe et al., 2020).

    Each speaker's turns are joined in order of start; speakers are paired one to one for the
    fewest word errors; one without a counterpart is all deletions or insertions. The same as
    `meeteval.wer.cpwer` of the normalised text (a test holds them together), whose quadratic
    Levenshtein takes minutes on ten hours; rapidfuzz's is 20 times as fast.

    >>> cpwer(
    ...     [Turn("r", 0, 2, "A", "How are you?"), Turn("r", 2, 3, "B", "Fine.")],
    ...     [Turn("r", 0, 2, "1", "how are"), Turn("r", 2, 3, "2", "you fine")],
    ... )
    WordErrors(errors=2, length=4)
    """
    from rapidfuzz.distance import Levenshtein
    from scipy.optimize import linear_sum_assignment

    numbers: dict[str, int] = {}
    reference_words = _by_speaker(reference, numbers)
    hypothesis_words = _by_speaker(hypothesis, numbers)
    length = sum(map(len, reference_words))
    size = max(len(reference_words), len(hypothesis_words))
    reference_words += [[]] * (size - len(reference_words))
    hypothesis_words += [[]] * (size - len(hypothesis_words))
    rows = [[Levenshtein.distance(a, b) for b in hypothesis_words] for a in reference_words]
    costs = np.array(rows, dtype=int).reshape(size, size)
    pairs = linear_sum_assignment(costs)
    return WordErrors(int(costs[pairs].sum()), length)


def _by_speaker(turns: Turns, numbers: dict[str, int]) -> list[list[int]]:
    """Each speaker's words in order, as numbers: equal words, equal numbers."""
    texts: dict[str, list[str]] = defaultdict(list)
    for turn in sorted(turns, key=lambda turn: turn.start):
        texts[turn.speaker].append(turn.words)
    return [
        [numbers.setdefault(word, len(numbers)) for word in normalise(" ".join(parts))]
        for parts in texts.values()
    ]


def too_many_timed(reference: Turns, hypothesis: Turns) -> str:
    """Why `tcpwer` does not take a recording; empty where it does."""
    sides = [{t.speaker for t in turns if normalise(t.words)} for turns in (reference, hypothesis)]
    speakers = max(map(len, sides))
    if speakers <= TIMED_SPEAKERS:
        return ""
    name = (*reference, *hypothesis)[0].session_id
    return f"recording {name} has {speakers:,} speakers; tcpWER takes at most {TIMED_SPEAKERS}"


def tcpwer(reference: Turns, hypothesis: Turns, collar: Seconds = COLLAR) -> WordErrors:
    """cpWER of one recording in which words pair only within `collar` seconds (meeteval).

    Raises:
        InputError: more than `TIMED_SPEAKERS` speak.
    """
    from meeteval.wer.wer import time_constrained

    if why := too_many_timed(reference, hypothesis):
        raise InputError(f"{why}, so leave it out (cpWER takes more)")
    segments = _segments(reference), _segments(hypothesis)
    length, recognised = (sum(len(s["words"].split()) for s in side) for side in segments)
    if not length or not recognised:
        return WordErrors(length or recognised, length)
    result = time_constrained.time_constrained_minimum_permutation_word_error_rate(
        *segments,
        collar=collar,
        reference_sort="segment",
        hypothesis_sort="segment",
        reference_pseudo_word_level_timing="character_based",
        hypothesis_pseudo_word_level_timing="character_based_points",
    )
    return WordErrors(result.errors, result.length)


def wer(reference: Turns, hypothesis: Turns) -> WordErrors:
    """Word errors of one recording, its turns joined in order of start.

    Overlapping speech has no one order, so where there is much of it cpWER says more. The same
    as jiwer's of the normalised text (a test holds them together), without its alignment, which
    takes seconds and gigabytes for hours of talk.

    >>> wer(
    ...     [Turn("r", 0, 2, "A", "How are you?"), Turn("r", 2, 3, "B", "Fine.")],
    ...     [Turn("r", 0, 2, "1", "how are"), Turn("r", 2, 3, "2", "you find")],
    ... )
    WordErrors(errors=1, length=4)
    """
    sides = ([replace(turn, speaker="") for turn in turns] for turns in (reference, hypothesis))
    return cpwer(*sides)


def cer(reference: Turns, hypothesis: Turns) -> WordErrors:
    """As `wer`, counted in characters without spaces: for languages that are written without them.

    >>> cer([Turn("r", 0, 2, "A", "今日はいい天気")], [Turn("r", 0, 2, "1", "今日もいい天気")])
    WordErrors(errors=1, length=7)
    """
    from rapidfuzz.distance import Levenshtein

    one, other = (
        "".join(normalise(" ".join(turn.words for turn in sorted(turns, key=lambda t: t.start))))
        for turns in (reference, hypothesis)
    )
    return WordErrors(Levenshtein.distance(one, other), len(one))


def word_speaker_accuracy(reference: Turns, hypothesis: Turns, collar: Seconds = COLLAR) -> Share:
    """The share of recognised words that were given to the right speaker, in one recording.

    Words of reference and hypothesis are aligned by time and text, whoever speaks them
    (meeteval's time-constrained Levenshtein alignment: pairs at most `collar` seconds apart). A
    recognised word that pairs with a reference word, be it rightly recognised or not, counts
    once; it is correct if its speaker, mapped by `map_speakers`, is that word's speaker. Inserted
    and lost words are WER's matter. This is 1 − WDER of El Shafey et al. (2019). ::

        reference   A: how are you     B: fine
        hypothesis  1: how are   2: you find              3 of 4 (you: 2 is B)

    >>> word_speaker_accuracy(
    ...     [Turn("r", 0, 2, "A", "how are you"), Turn("r", 2, 4, "B", "fine")],
    ...     [Turn("r", 0, 1.3, "1", "how are"), Turn("r", 1.3, 4, "2", "you find")],
    ... )
    Share(correct=3, total=4)

    Args:
        reference: turns with words, or words with their own times as turns of one word.
        hypothesis: turns with words, likewise.
    """
    pairs = pair_words(reference, hypothesis, collar)
    mapping = map_speakers(reference, hypothesis)
    right = [
        mapping.get(hypothesis[in_hypothesis].speaker) == reference[in_reference].speaker
        for in_reference, in_hypothesis in pairs
        if in_reference is not None and in_hypothesis is not None
    ]
    return Share(sum(right), len(right))


def pair_words(
    reference: Turns, hypothesis: Turns, collar: Seconds = COLLAR
) -> list[tuple[int | None, int | None]]:
    """Which words of one recording belong together, by time and text, whoever speaks them.

    Returns:
        For each pair of words the turns that they stand in, as indices of `reference` and
        `hypothesis`; None opposite a lost or an inserted word.
    """
    from meeteval.wer.wer.time_constrained import align

    segments = _segments(reference), _segments(hypothesis)
    if not all(segments):
        return [
            (segment["turn"], None) if side is segments[0] else (None, segment["turn"])
            for side in segments
            for segment in side
            for _ in segment["words"].split()
        ]
    return [
        (one and one["turn"], other and other["turn"])
        for one, other in align(*segments, collar=collar, style="seglst")
    ]


def _segments(turns: Turns) -> list[dict[str, Any]]:
    """Turns with normalised words as meeteval's segments, without those that have no word.

    Each carries its turn's index in `turns`.
    """
    return [
        {
            "session_id": turn.session_id,
            "speaker": turn.speaker,
            "start_time": turn.start,
            "end_time": turn.end,
            "words": " ".join(words),
            "turn": index,
        }
        for index, turn in sorted(enumerate(turns), key=lambda numbered: numbered[1].start)
        if (words := normalise(turn.words))
    ]
