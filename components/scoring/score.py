"""All scores of a hypothesis against a reference, by one convention."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.base import InputError
from components.conversation import DEFAULT_LABELS, Turn
from components.scoring.conventions import DEFAULT, find_convention
from components.scoring.emotion_words import emotion_cpwer
from components.scoring.emotions import eder
from components.scoring.errors import EmotionErrors, TimeErrors, WordErrors
from components.scoring.sweep import Span
from components.scoring.timed import der, steer, teer
from components.scoring.words import cpwer

ByRecording = dict[str, list[Turn]]
Pairs = dict[str, tuple[list[Turn], list[Turn]]]
"""Each recording's reference turns and hypothesis turns, by name."""

MAX_SCORED = 1000
"""The most speakers of one recording, on either side, that are scored: each is compared with each,
and a thousand take seconds."""

MEASURES = ("teer", "steer", "eder", "der", "cpwer", "emotion_cpwer")


@dataclass(frozen=True, slots=True)
class Scores:
    """What `moodline score` prints. They add up over recordings of one convention.

    Attributes:
        teer, steer, eder: None where reference or hypothesis carry no emotions, as RTTM.
        cpwer: None where reference or hypothesis carry no words.
        emotion_cpwer: None where either is missing, words or emotions.
    """

    convention: str
    teer: TimeErrors | None
    steer: TimeErrors | None
    eder: EmotionErrors | None
    der: TimeErrors
    cpwer: WordErrors | None
    emotion_cpwer: WordErrors | None

    def __add__(self, other: "Scores") -> "Scores":
        if not isinstance(other, Scores):
            return NotImplemented
        if self.convention != other.convention:
            raise ValueError(f"{self.convention} and {other.convention} do not add up")
        both = {name: (getattr(self, name), getattr(other, name)) for name in MEASURES}
        sums: dict[str, Any] = {
            name: None if None in pair else pair[0] + pair[1] for name, pair in both.items()
        }
        return Scores(self.convention, **sums)

    def to_json(self) -> dict[str, Any]:
        """As `moodline score --json` prints it."""
        errors = {name: getattr(self, name) for name in MEASURES}
        values = {name: value and value.to_json() for name, value in errors.items()}
        return {"convention": self.convention, **values}


def score(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    convention: str = DEFAULT,
    uem: Mapping[str, Sequence[Span]] | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> Scores:
    """Score turns against reference turns: seconds and words summed over recordings.

    >>> scores = score(
    ...     [Turn("r", 0, 4, "A", "so it is", "sad")],
    ...     [Turn("r", 0, 3, "1", "so it was", "sad")],
    ...     convention="collar0",
    ... )
    >>> scores.teer.rate, scores.der.rate
    (0.25, 0.25)
    >>> scores.cpwer
    WordErrors(errors=1, length=3)

    Args:
        reference: with emotions for TEER, sTEER and EDER, with words for cpWER. Turns whose
            emotion is none of the labels are not scored by the first three.
        hypothesis: of the same recordings; one that is missing is all missed.
        convention: wu2023, collar0 or ser-align.
        uem: for each recording the stretches to score (seconds), in place of the convention's
            extent. cpWER counts all words all the same. A recording that it names and the
            reference does not is silent: all that the hypothesis hears in it is a false alarm.
        labels: the emotions that are scored.

    Raises:
        InputError: a recording that the reference or the UEM lacks, an empty reference, more than
            `MAX_SCORED` speakers in a recording, or an unknown convention.
    """
    first, *rest = score_each(reference, hypothesis, convention, uem, labels).values()
    return sum(rest, start=first)


def score_each(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    convention: str = DEFAULT,
    uem: Mapping[str, Sequence[Span]] | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> dict[str, Scores]:
    """As `score`, for each recording by itself, in order of their names."""
    rules = find_convention(convention)
    pairs = pair_recordings(reference, hypothesis, uem)
    emotions = _both_have(pairs, lambda turn: turn.emotion)
    words = _both_have(pairs, lambda turn: turn.words)
    scores = {}
    for name, turns in pairs.items():
        spans = None if uem is None else uem[name]
        scores[name] = Scores(
            convention=rules.name,
            teer=teer(*turns, rules, spans, labels) if emotions else None,
            steer=steer(*turns, rules, spans, labels) if emotions else None,
            eder=eder(*turns, rules, spans, labels) if emotions else None,
            der=der(*turns, rules, spans),
            cpwer=cpwer(*turns) if words else None,
            emotion_cpwer=emotion_cpwer(*turns, labels) if words and emotions else None,
        )
    return scores


def score_words(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    count: Callable[[Sequence[Turn], Sequence[Turn]], WordErrors],
    uem: Mapping[str, Sequence[Span]] | None = None,
) -> WordErrors | None:
    """Word errors summed over recordings; None where either side carries no words.

    They look at words alone, and so are the same by every convention.

    Args:
        reference, hypothesis: as for `score`.
        count: `wer`, `cer`, `cpwer` or `tcpwer`.
        uem: as for `score`: names silent recordings.

    Raises:
        InputError: as `score`.
    """
    pairs = pair_recordings(reference, hypothesis, uem)
    if not _both_have(pairs, lambda turn: turn.words):
        return None
    return sum((count(*turns) for turns in pairs.values()), start=WordErrors.zero())


def turns_by_recording(turns: Iterable[Turn]) -> ByRecording:
    """Turns by their recording."""
    recordings: ByRecording = defaultdict(list)
    for turn in turns:
        recordings[turn.session_id].append(turn)
    return dict(recordings)


def pair_recordings(
    reference_turns: Iterable[Turn],
    hypothesis_turns: Iterable[Turn],
    uem: Mapping[str, Any] | None = None,
) -> Pairs:
    """The turns of each recording of the reference on both sides, in order of their names.

    Recordings that only the UEM names are silent in the reference.

    Raises:
        InputError: as `score`.
    """
    reference = turns_by_recording(reference_turns)
    hypothesis = turns_by_recording(hypothesis_turns)
    names = reference.keys() | (uem or {}).keys()
    if not names:
        raise InputError(
            "the reference has no turns; there is nothing to score against. If nobody speaks in"
            " the recording, name it in a UEM (--uem)"
        )
    if unknown := sorted(hypothesis.keys() - names):
        raise InputError(
            f"the hypothesis has recording {_names(unknown)}, which the reference lacks;"
            f" the reference has {_names(sorted(reference))}. If nobody speaks in it, name it in a"
            " UEM (--uem)"
        )
    if uem is not None and (unscored := sorted(reference.keys() - uem.keys())):
        raise InputError(f"the UEM has no line for recording {_names(unscored)}; add what to score")
    for side, recordings in (("reference", reference), ("hypothesis", hypothesis)):
        for name, turns in recordings.items():
            if (speakers := len({turn.speaker for turn in turns})) > MAX_SCORED:
                raise InputError(
                    f"the {side} names {speakers:,} speakers in recording {name}; at most"
                    f" {MAX_SCORED:,} can be scored"
                )
    return {name: (reference.get(name, []), hypothesis.get(name, [])) for name in sorted(names)}


def _both_have(pairs: Pairs, has: Callable[[Turn], object]) -> bool:
    """Whether both sides have it, those that have turns at all."""
    sides = [
        [turn for turns in side for turn in turns] for side in zip(*pairs.values(), strict=True)
    ]
    return all(any(map(has, side)) or not side for side in sides) and any(sides)


def _names(names: Sequence[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
