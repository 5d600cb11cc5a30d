"""Feedback that is held for a person, because it contradicts the model far too often.

Nobody who listens finds that nearly every answer of a model is wrong that has passed its gate. So
such labels are not trained on until a person has looked at them (`moodline feedback review`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from components.traffic.entries import Feedback, votes

MIN_LABELS = 20
"""Fewer labels of a key are not judged."""

LATEST = 50
"""A key is judged by so many of its latest labels, too: good ones of before excuse no bad ones."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one API key said that waits for a person.

    Attributes:
        origin: the key's name, or `NO_KEY`.
        labels: votes on turns that nobody has accepted yet.
        contradictions: those that name another emotion than the model.
        recordings: that they are about.
        since, until: when the first and the last of them were given.
    """

    origin: str
    labels: int
    contradictions: int
    recordings: int
    since: datetime
    until: datetime


def held(entries: Iterable[Feedback], limit: float) -> list[Held]:
    """The keys whose labels are held, by name.

    Args:
        limit: the share of a key's labels that may contradict the model. Of four emotions, labels
            that are given blindly contradict three in four.
    """
    by_origin: dict[str, list[Feedback]] = {}
    for entry in sorted(votes(entries), key=lambda entry: entry.given):
        if not entry.accepted:
            by_origin.setdefault(entry.origin, []).append(entry)
    return [
        _held(origin, labels)
        for origin, labels in sorted(by_origin.items())
        if len(labels) >= MIN_LABELS
        and any(_contradictions(part) > limit * len(part) for part in (labels, labels[-LATEST:]))
    ]


def without_held(entries: Iterable[Feedback], limit: float) -> list[Feedback]:
    """The entries that may be trained on; `limit` as of `held`."""
    entries = list(entries)
    origins = {found.origin for found in held(entries, limit)}
    return [entry for entry in entries if entry.accepted or entry.origin not in origins]


def _held(origin: str, labels: list[Feedback]) -> Held:
    recordings = len({entry.recording for entry in labels})
    given = (labels[0].given, labels[-1].given)
    return Held(origin, len(labels), _contradictions(labels), recordings, *given)


def _contradictions(labels: list[Feedback]) -> int:
    return sum(entry.emotion != entry.predicted for entry in labels)
