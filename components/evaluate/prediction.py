"""A model's emotions for turns, computed in the same way as when it is served."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from components.conversation import (
    TURNS,
    Document,
    Progress,
    Recording,
    Turn,
    mark_uncertain,
    read_turns_of,
    turns_text,
    write_documents,
)
from components.fusion import Clip, turn_clip

T = TypeVar("T")


class Classify(Protocol):
    """Clips → probabilities [n, k] in the order of its k labels, as `Classifier` does."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that it tells apart."""
        ...

    def __call__(self, clips: Sequence[Clip], /) -> np.ndarray:
        """The probabilities of each clip."""
        ...


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
        rows = zip(own, probabilities, strict=True)
        answered += [turn.answered(row, classify.labels) for turn, row in rows]
        if progress:
            progress(len(answered), total)
    return answered


def predict_corpus(
    classify: Classify,
    recordings: Sequence[Recording],
    turns: Path,
    out: Path,
    uncertain_below: float = 0.0,
) -> tuple[int, int]:
    """Give each turn of a corpus its emotion, one recording after the other.

    Args:
        turns: as `read_turns_of` takes it.
        out: the file that gets them as documents of the kind `TURNS`.
        uncertain_below: a less sure answer is marked as uncertain.

    Returns:
        How many recordings and turns there were.

    Raises:
        InputError: a recording has no turns, or its audio cannot be read.
    """
    by_name = {recording.name: recording for recording in recordings}
    counts = dict[str, int]()

    def answered() -> Iterator[Document]:
        for name, own in read_turns_of(turns, by_name):
            counts[name] = len(own)
            predicted = predict_turns(classify, [by_name[name]], {name: own})
            yield Document(name, TURNS, turns_text(mark_uncertain(predicted, uncertain_below)))

    return write_documents(out, answered()), sum(counts.values())
