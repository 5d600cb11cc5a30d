"""Feedback that is held for a person, because it contradicts the model far too often.

Nobody who listens finds that nearly every answer of a model is wrong that has passed its gate. So
such labels are not trained on until a person has looked at them (`moodline feedback review`).
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from components.base import InputError
from components.traffic.entries import Feedback, votes

MIN_LABELS = 20
"""Fewer labels of a key are not judged. Where fewer wait, the latest accepted ones count, too: what
came after a person looked stays held."""

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
        seen: names exactly what waits now; who accepts it says so (see `seen_entries`).
    """

    origin: str
    labels: int
    contradictions: int
    recordings: int
    since: datetime
    until: datetime
    seen: str


def held(entries: Iterable[Feedback], limit: float) -> list[Held]:
    """The keys whose labels are held, by name.

    Args:
        limit: the share of a key's labels that may contradict the model. Of n labels, those that
            are given blindly contradict all but one in n.
    """
    entries = list(entries)
    by_origin: dict[str, list[Feedback]] = {}
    for entry in sorted(votes(entries), key=_order):
        by_origin.setdefault(entry.origin, []).append(entry)
    return [
        _held(origin, [label for label in labels if not label.accepted], entries)
        for origin, labels in sorted(by_origin.items())
        if _contradicts(labels, limit)
    ]


def seen_entries(entries: Iterable[Feedback], origin: str, seen: str) -> list[Feedback]:
    """What waited of a key when a person looked: all of it but what was given since.

    Args:
        seen: as `Held.seen` said it then.

    Raises:
        InputError: what waited then does not wait as it was any more (some of it was dropped or
            erased, say), or that is no such name.
    """
    waiting = _waiting(entries, origin)
    for count, name in enumerate(_names(waiting), start=1):
        if name == seen:
            return waiting[:count]
    raise InputError(
        f"--seen {seen}: is not what waits of {origin}; look again: moodline feedback review"
    )


def without_held(entries: Iterable[Feedback], limit: float) -> list[Feedback]:
    """The entries that may be trained on; `limit` as of `held`."""
    entries = list(entries)
    origins = {found.origin for found in held(entries, limit)}
    return [entry for entry in entries if entry.accepted or entry.origin not in origins]


def turning_points(
    entries: Iterable[Feedback], after: datetime, limit: float
) -> Iterator[datetime]:
    """When, after a moment, labels of a key came to be held, or came free: the times of the entries
    that did it, in order; `limit` as of `held`."""
    by_origin: dict[str, list[Feedback]] = {}
    for entry in sorted(entries, key=_order):
        by_origin.setdefault(entry.origin, []).append(entry)
    points = []
    for given in by_origin.values():
        latest: dict[Any, Feedback] = {}  # of each vote, as `votes`; in order of time
        was_held = False
        for entry, following in zip(given, [*given[1:], None], strict=True):
            latest.pop((entry.answered, entry.vote), None)
            latest[entry.answered, entry.vote] = entry
            if following is not None and following.given <= after:
                continue
            is_held = _contradicts(list(latest.values()), limit)
            if is_held != was_held and entry.given > after:
                points.append(entry.given)
            was_held = is_held
    yield from sorted(points)


def _contradicts(labels: list[Feedback], limit: float) -> bool:
    """Whether labels of a key, by time, wait because they contradict the model too often."""
    waiting = [label for label in labels if not label.accepted]
    if len(waiting) < MIN_LABELS:
        parts = [labels[-MIN_LABELS:]] if waiting and len(labels) >= MIN_LABELS else []
    else:
        parts = [waiting, waiting[-LATEST:]]
    return any(_contradictions(part) > limit * len(part) for part in parts)


def _held(origin: str, labels: list[Feedback], entries: list[Feedback]) -> Held:
    recordings = len({entry.recording for entry in labels})
    given = (labels[0].given, labels[-1].given)
    (*_, seen) = _names(_waiting(entries, origin))
    return Held(origin, len(labels), _contradictions(labels), recordings, *given, seen)


def _contradictions(labels: list[Feedback]) -> int:
    return sum(entry.emotion != entry.predicted for entry in labels)


def _waiting(entries: Iterable[Feedback], origin: str) -> list[Feedback]:
    """All that a key said and nobody has accepted, by time; votes that it changed since, too."""
    return sorted((e for e in entries if e.origin == origin and not e.accepted), key=_order)


def _order(entry: Feedback) -> tuple[datetime, str, int, int]:
    return entry.given, entry.request_id, entry.turn, entry.number


def _names(entries: Iterable[Feedback]) -> Iterator[str]:
    """A name for the first of the entries, for the first two, and so on: a digest of them."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{_order(entry)} {entry.emotion}\n".encode())
        yield digest.hexdigest()[:12]
