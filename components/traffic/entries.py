"""What people say a turn's emotion is, kept with what the model had said.

Of several entries on one turn **the latest of a reviewer stands, else the latest of an agent**: a
reviewer listens to the recording, an agent remembers the call. An API key has one vote on a turn,
its latest, as an agent and as a reviewer. Where no keys are needed, all callers share one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from components.base import InputError
from components.conversation import DEFAULT_LABELS, Seconds

Source = Literal["agent", "reviewer"]
SOURCES: tuple[str, ...] = get_args(Source)
"""Who may say so; a later one outranks an earlier one."""

NO_KEY = "no key"
"""The source of feedback that came without an API key. No key has this name: it is two words."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What somebody says.

    Attributes:
        request_id: of the answer that held the turn.
        turn: its place in that answer, from 0.
        emotion: the right one, of the labels of the version that answered; the model's own
            confirms it.
        source: who says so: an agent or a reviewer.
        author: which one, where the caller tells.
        voter: the name of the API key that says it; "" where none is needed. None: the author is
            the voter.
    """

    request_id: str
    turn: int
    emotion: str
    source: str
    author: str = ""
    voter: str | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(f"source {self.source!r}: name one of {', '.join(SOURCES)}")


@dataclass(frozen=True, slots=True)
class Feedback:
    """An entry: a correction and the turn it corrects, as it was answered.

    Attributes:
        number: of the entry on its turn, from 1.
        given: when it was.
        recording: hashed, as in the log.
        time: of the answer.
        version: of the model that answered.
        predicted: its emotion.
        voter: as of `Correction`; None in what version 0.1 kept.
        accepted: whether a person has accepted it (see `components.traffic.review`).
        labels: of the version that answered, in its order.
    """

    request_id: str
    turn: int
    number: int
    emotion: str
    source: str
    author: str
    given: datetime
    recording: str
    time: datetime
    version: int
    predicted: str
    confidence: float
    speaker: str
    start: Seconds
    end: Seconds
    voter: str | None = None
    accepted: bool = False
    labels: tuple[str, ...] = DEFAULT_LABELS

    @property
    def answered(self) -> tuple[str, str, datetime, int]:
        """The answered turn that this is about."""
        return self.request_id, self.recording, self.time, self.turn

    @property
    def vote(self) -> tuple[str, str]:
        """Whose vote it is; of one turn only the latest with the same counts."""
        return self.source, self.author if self.voter is None else f"key {self.voter}"

    @property
    def origin(self) -> str:
        """Where it comes from: the API key. Authors are the callers' word, and version 0.1 did not
        tell them from keys."""
        return self.voter or NO_KEY


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a correction.

    Attributes:
        entry: as it is kept.
        new: False where the same source's last feedback was the same; nothing was added.
        contradicts: how many votes on this turn name another emotion.
        stands: the turn's emotion by the rule.
    """

    entry: Feedback
    new: bool
    contradicts: int
    stands: str


def votes(entries: Iterable[Feedback]) -> list[Feedback]:
    """The latest entry of each voter on each turn."""
    latest = {(e.answered, e.vote): e for e in sorted(entries, key=lambda e: e.number)}
    return list(latest.values())


def standing(entries: Iterable[Feedback]) -> list[Feedback]:
    """The entry that stands on each turn: the latest of a reviewer, else the latest of an agent."""
    best: dict[tuple[Any, ...], Feedback] = {}
    for entry in sorted(entries, key=lambda e: (SOURCES.index(e.source), e.number)):
        best[entry.answered] = entry
    return [best[key] for key in sorted(best)]


def contradicted(entries: Iterable[Feedback]) -> int:
    """How many turns people disagree on."""
    emotions: dict[tuple[Any, ...], set[str]] = {}
    for entry in votes(entries):
        emotions.setdefault(entry.answered, set()).add(entry.emotion)
    return sum(len(different) > 1 for different in emotions.values())
