"""All scores of a hypothesis against a reference, by one convention."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from components.base import InputError
from components.conversation import Turn
from components.scoring.conventions import DEFAULT, find_convention
from components.scoring.errors import TimeErrors, WordErrors
from components.scoring.sweep import Span
from components.scoring.timed import der, steer, teer
from components.scoring.words import cpwer

Errors = TypeVar("Errors", TimeErrors, WordErrors)


@dataclass(frozen=True, slots=True)
class Scores:
    """What `moodline score` prints. They add up over recordings of one convention.

    Attributes:
        teer, steer: None where reference or hypothesis carry no emotions (RTTM, say).
        cpwer: None where reference or hypothesis carry no words.
    """

    convention: str
    teer: TimeErrors | None
    steer: TimeErrors | None
    der: TimeErrors
    cpwer: WordErrors | None

    def __add__(self, other: "Scores") -> "Scores":
        if not isinstance(other, Scores):
            return NotImplemented
        if self.convention != other.convention:
            raise ValueError(f"{self.convention} and {other.convention} do not add up")
        return Scores(
            self.convention,
            _plus(self.teer, other.teer),
            _plus(self.steer, other.steer),
            self.der + other.der,
            _plus(self.cpwer, other.cpwer),
        )

    def to_json(self) -> dict[str, Any]:
        """As `moodline score --json` prints it."""
        return {
            "convention": self.convention,
            "teer": self.teer.to_json() if self.teer else None,
            "steer": self.steer.to_json() if self.steer else None,
            "der": self.der.to_json(),
            "cpwer": self.cpwer.to_json() if self.cpwer else None,
        }


def _plus(one: Errors | None, other: Errors | None) -> Errors | None:
    if one is None or other is None:
        return None
    return one + other


def score(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    convention: str = DEFAULT,
    uem: Mapping[str, Sequence[Span]] | None = None,
) -> Scores:
    """Score turns against reference turns: seconds and words summed over recordings.

    Args:
        reference: with emotions for TEER and sTEER, with words for cpWER. Turns whose emotion is
            none of the four are not scored by TEER and sTEER.
        hypothesis: of the same recordings; one that is missing is all missed.
        convention: wu2023, collar0 or ser-align.
        uem: for each recording the stretches to score (seconds), in place of the convention's
            extent. cpWER counts all words whatever it says.

    Raises:
        InputError: a recording that the reference or the UEM lacks, an empty reference, or an
            unknown convention.
    """
    first, *rest = score_each(reference, hypothesis, convention, uem).values()
    return sum(rest, start=first)


def score_each(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    convention: str = DEFAULT,
    uem: Mapping[str, Sequence[Span]] | None = None,
) -> dict[str, Scores]:
    """As `score`, for each recording by itself, in order of their names."""
    rules = find_convention(convention)
    theirs, ours = by_recording(reference), by_recording(hypothesis)
    _check_recordings(theirs, ours, uem)
    emotions = _both_have(theirs, ours, lambda turn: turn.emotion)
    words = _both_have(theirs, ours, lambda turn: turn.words)
    found = {}
    for name in sorted(theirs):
        turns = (theirs[name], ours.get(name, []))
        spans = None if uem is None else uem[name]
        found[name] = Scores(
            rules.name,
            teer(*turns, rules, spans) if emotions else None,
            steer(*turns, rules, spans) if emotions else None,
            der(*turns, rules, spans),
            cpwer(*turns) if words else None,
        )
    return found


def score_words(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    count: Callable[[Sequence[Turn], Sequence[Turn]], WordErrors],
) -> WordErrors | None:
    """Word errors summed over recordings; None where either side carries no words.

    They look at words alone, and so are the same by every convention.

    Args:
        reference: as for `score`.
        hypothesis: likewise.
        count: `wer`, `cpwer` or `tcpwer`.

    Raises:
        InputError: as `score`.
    """
    theirs, ours = by_recording(reference), by_recording(hypothesis)
    _check_recordings(theirs, ours, None)
    if not _both_have(theirs, ours, lambda turn: turn.words):
        return None
    each = (count(theirs[name], ours.get(name, [])) for name in sorted(theirs))
    return sum(each, start=WordErrors.zero())


def by_recording(turns: Iterable[Turn]) -> dict[str, list[Turn]]:
    """Turns by their recording."""
    found: dict[str, list[Turn]] = defaultdict(list)
    for turn in turns:
        found[turn.session_id].append(turn)
    return dict(found)


def _both_have(theirs: Mapping, ours: Mapping, has: Any) -> bool:
    """Whether the reference has it, and the hypothesis too if it has turns at all."""
    return any(has(turn) for turns in theirs.values() for turn in turns) and (
        not ours or any(has(turn) for turns in ours.values() for turn in turns)
    )


def _check_recordings(theirs: Mapping, ours: Mapping, uem: Mapping | None) -> None:
    if not theirs:
        raise InputError("the reference has no turns; there is nothing to score against")
    strangers = sorted(set(ours) - set(theirs))
    if strangers:
        raise InputError(
            f"the hypothesis has recording {_names(strangers)}, which the reference lacks;"
            f" the reference has {_names(sorted(theirs))}"
        )
    unscored = sorted(set(theirs) - set(uem)) if uem is not None else []
    if unscored:
        raise InputError(f"the UEM has no line for recording {_names(unscored)}; add what to score")


def _names(names: Sequence[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
