"""What a change of speaker costs between two words, and which words are backchannels."""

from collections.abc import Sequence

import numpy as np

WITHIN_A_SENTENCE = 3.0
"""The cost of a change in the middle of a sentence, in nats: people seldom speak for one word."""

AT_A_SEGMENT = 1.0
"""The cost where the recogniser begins a segment."""

AT_A_SENTENCE = 0.2
"""The cost where a sentence begins."""

PER_PAUSE = 6.0
"""How much less a change costs for each second of pause."""

PER_OVERLAP = 8.0
"""How much less for each second in which two words overlap: one mouth does not speak two."""

SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", "।", "؟", "۔")
CLOSING = " \"'”’»)]"

MARKS = " .,;:?!…"

BACKCHANNELS = frozenset(
    {"yeah", "yep", "yes", "no", "ok", "okay", "right", "sure", "oh"}
    | {"mm", "hm", "hmm", "mm-hmm", "mhm", "uh-huh"}
)
"""What listeners say inside another's turn. English: elsewhere pauses and sentences have to do."""


def change_costs(
    texts: Sequence[str], starts: np.ndarray, ends: np.ndarray, begins: np.ndarray
) -> np.ndarray:
    """The cost of a change of speaker before each word, in nats, 0 or more: float [words].

    >>> times = np.arange(6.0)
    >>> begins = np.zeros(6, dtype=bool)
    >>> change_costs("I did. And you did it".split(), times, times + 1, begins).tolist()
    [3.0, 3.0, 0.2, 3.0, 3.0, 3.0]

    Args:
        texts: the words, in the order of speech.
        starts: seconds, [words].
        ends: seconds, [words].
        begins: whether each is the first word of its recognised segment, [words].
    """
    costs = np.where(begins, AT_A_SEGMENT, WITHIN_A_SENTENCE)
    costs[_sentence_starts(texts)] = AT_A_SENTENCE
    gaps = starts[1:] - ends[:-1]
    costs[1:] -= PER_PAUSE * np.maximum(gaps, 0) + PER_OVERLAP * np.maximum(-gaps, 0)
    return np.maximum(costs, 0.0)


def backchannels(texts: Sequence[str]) -> np.ndarray:
    """Whether each word is one that listeners say, whatever its punctuation: bool [words].

    >>> backchannels(["Mm-hmm.", "parcel"]).tolist()
    [True, False]
    """
    said = {text for text in set(texts) if text.strip(MARKS).lower() in BACKCHANNELS}
    return np.array([text in said for text in texts], dtype=bool)


def _sentence_starts(texts: Sequence[str]) -> np.ndarray:
    """Whether each word begins a sentence: bool [words].

    Behind a full stop; or with a capital, if the same word is also written small in the
    recording, so that it is no name (nor a German noun): a recogniser may lose the full stop where
    one speaker breaks off.
    """
    bare = {text: text.strip(MARKS) for text in set(texts)}
    small = {text for text in bare.values() if text[:1].islower()}
    capitals = {t for t, word in bare.items() if word[:1].isupper() and word.lower() in small}
    stops = {text for text in bare if text.rstrip(CLOSING).endswith(SENTENCE_ENDS)}
    begins = np.array([text in capitals for text in texts], dtype=bool)
    begins[1:] |= np.array([text in stops for text in texts[:-1]], dtype=bool)
    return begins
