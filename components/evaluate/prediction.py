"""A model's emotions for turns, computed in the same way as when it is served."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from components.conversation import Progress, Recording, Turn
from components.fusion import Clip, turn_clip

T = TypeVar("T")

Classify = Callable[[Sequence[Clip]], np.ndarray]
"""Clips → probabilities [n, 4] in the order of `EMOTIONS`."""


def spread(items: Sequence[T], max_items: int) -> list[T]:
    """`max_items` of the items or fewer, evenly spread, in their order."""
    if len(items) <= max_items:
        return list(items)
    return [items[i * len(items) // max_items] for i in range(max_items)]


def predict_turns(
    classify: Classify,
    recordings: Sequence[Recording],
    turns: Mapping[str, Sequence[Turn]],
    progress: Progress | None = None,
) -> list[Turn]:
    """Give each turn its emotion, confidence and probabilities.

    Audio is read one recording's turns at a time, so memory holds one recording.

    Args:
        turns: each recording's turns.
        progress: called with the number of turns done and their total.

    Raises:
        InputError: audio that cannot be read.
    """
    total = sum(len(turns[recording.name]) for recording in recordings)
    answered: list[Turn] = []
    for recording in recordings:
        own = turns[recording.name]
        probabilities = classify([turn_clip(recording.audio, turn) for turn in own])
        answered += [turn.answered(row) for turn, row in zip(own, probabilities, strict=True)]
        if progress:
            progress(len(answered), total)
    return answered
