"""Answers that say that they do not know."""

from collections.abc import Iterable
from dataclasses import replace

from components.conversation.types import Turn


def mark_uncertain(turns: Iterable[Turn], below: float) -> list[Turn]:
    """Mark the turns that are less sure than a threshold; they keep emotion and probabilities.

    >>> turn = Turn("call", 0.0, 1.2, "A", "hello", "happy", confidence=0.4)
    >>> [mark_uncertain([turn], below)[0].uncertain for below in (0.5, 0.4, 0.0)]
    [True, None, None]

    Args:
        turns: as a model answered them; one without a confidence is not marked.
        below: a confidence, from 0 to 1; with 0 none is marked.
    """
    return [
        replace(turn, uncertain=(turn.confidence is not None and turn.confidence < below) or None)
        for turn in turns
    ]
