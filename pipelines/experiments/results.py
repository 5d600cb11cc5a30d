"""All answers of an experiment, counted on the same reference utterances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.config import Profile
from components.conversation import EMOTIONS, Recording, Turn, Utterance
from components.evaluate import Measurement, measure
from components.scoring import (
    CONVENTIONS,
    Faults,
    TimeErrors,
    find_faults,
    score,
    score_each,
    utterance_predictions,
)
from pipelines.experiments.statistics import (
    Counts,
    compare_errors,
    compare_rates,
    summarise_errors,
    summarise_rates,
)
from pipelines.experiments.systems import DIFFERENCES, System, Way
from pipelines.experiments.turns import CorpusTurns
from pipelines.experiments.work import Outcome

TIMED = ("teer", "steer", "der")


@dataclass(frozen=True)
class SystemResult:
    """What a system came to.

    Attributes:
        system: it.
        counts: the confusions of each recording, seed by seed.
        errors: by convention, TEER's, sTEER's and DER's seconds of each recording, seed by seed.
        right: for each seed, whether each scored utterance's answer is right.
        answered: likewise, whether it has one.
        numbers: everything that is reported; ready for JSON.
        turns: of the first seed, with emotions.
        outcomes: the units'.
    """

    system: System
    counts: Counts
    errors: dict[str, dict[str, Counts]]
    right: tuple[tuple[bool, ...], ...]
    answered: tuple[tuple[bool, ...], ...]
    numbers: dict[str, Any]
    turns: list[Turn] = field(repr=False)
    outcomes: list[Outcome] = field(repr=False)


@dataclass(frozen=True)
class Results:
    """An experiment's results.

    Attributes:
        name: of the table that was run, or "all".
        recordings: the corpus.
        scored: the utterances that every system is scored on, in the order of `right`.
        faults: how each way's turns differ from the reference, for all utterances.
        scored_indices: of `scored` among all utterances.
        systems: by system.
        comparisons: (first, second) and their differences.
        about: what was run, for the heading.
    """

    name: str
    recordings: Sequence[Recording] = field(repr=False)
    scored: tuple[Utterance, ...] = field(repr=False)
    scored_indices: tuple[int, ...] = field(repr=False)
    faults: dict[Way, Faults] = field(repr=False)
    systems: dict[System, SystemResult]
    comparisons: dict[tuple[System, System], dict[str, Any]]
    about: dict[str, Any]

    def faults_of(self, way: Way) -> list[Any]:
        """The faults of each scored utterance."""
        faults = self.faults[way].utterances
        return [faults[index] for index in self.scored_indices]


def summarise(
    name: str,
    outcomes: Sequence[Outcome],
    turns_by_way: Mapping[Way, CorpusTurns],
    recordings: Sequence[Recording],
    profile: Profile,
    corpus: str,
    *,
    synthetic: bool,
) -> Results:
    """Count the units' answers.

    The folds of a system and seed are put together first: every utterance is answered once by a
    model that has not seen its fold, and an utterance without an answer is a wrong one.
    """
    utterances = [u for recording in recordings for u in recording.utterances]
    indices = tuple(i for i, u in enumerate(utterances) if u.emotion in EMOTIONS)
    by_system: dict[System, list[Outcome]] = {}
    for outcome in outcomes:
        by_system.setdefault(outcome.unit.system, []).append(outcome)
    systems = {
        system: _system(system, own, recordings, profile) for system, own in by_system.items()
    }
    comparisons = {
        (first, second): _compare(systems[first], systems[second], recordings, profile.seed)
        for first, second in DIFFERENCES
        if first in systems and second in systems
    }
    reference = [utterance.as_turn() for utterance in utterances]
    spoken = next(iter(turns_by_way.values())).spoken
    about = {
        "experiment": name,
        "profile": profile.name,
        "corpus": corpus,
        "synthetic": synthetic,
        "recordings": len(recordings),
        "folds": sorted({recording.fold for recording in recordings}),
        "seeds": sorted({outcome.unit.seed for outcome in outcomes}),
        "utterances": len(indices),
        "unscored_utterances": len(utterances) - len(indices),
        "models": {
            "transcribe": profile.transcribe.model,
            "diarize": profile.diarize.pipeline,
            "acoustic": profile.fusion.acoustic,
            "text": profile.fusion.text,
        },
        "num_speakers": profile.diarize.num_speakers,
        "examples": {str(way): own.labelled for way, own in turns_by_way.items()},
        # The turns' own DER is of one speaker at a time.
        "diarization": {
            convention: score(reference, spoken, convention).der.to_json()
            for convention in CONVENTIONS
        },
    }
    return Results(
        name=name,
        recordings=recordings,
        scored=tuple(utterances[index] for index in indices),
        scored_indices=indices,
        faults={
            way: find_faults(utterances, [t for r in recordings for t in own.turns[r.name]])
            for way, own in turns_by_way.items()
        },
        systems=systems,
        comparisons=comparisons,
        about=about,
    )


def _system(
    system: System, outcomes: Sequence[Outcome], recordings: Sequence[Recording], profile: Profile
) -> SystemResult:
    seeds = sorted({outcome.unit.seed for outcome in outcomes})
    turns = {
        seed: [turn for o in outcomes if o.unit.seed == seed for turn in o.turns] for seed in seeds
    }
    measured = [measure(recordings, turns[seed], profile.seed) for seed in seeds]
    folds = [recording.fold for recording in recordings]
    counts = Counts.of([m.confusions for m in measured], folds)
    errors = {
        convention: _errors(recordings, [turns[seed] for seed in seeds], convention, folds)
        for convention in CONVENTIONS
    }
    first = measured[0].metrics
    numbers: dict[str, Any] = {
        "system": system.name,
        "title": system.title,
        **summarise_rates(counts, profile.seed),
        "styles": {
            style: summarise_rates(part, profile.seed)
            for style, part in styles(counts, recordings).items()
        },
        "confusion": counts.each.sum(axis=(0, 1)).tolist(),
        "unanswered": [m.metrics["unanswered"]["count"] for m in measured],
        "scores": {
            convention: {
                "note": CONVENTIONS[convention].note,
                **{key: summarise_errors(e, profile.seed) for key, e in parts.items()},
            }
            for convention, parts in errors.items()
        },
        "agreed": _mean_of(measured, "agreed"),
        "ece": sum(m.metrics["calibration"]["ece"] or 0.0 for m in measured) / len(measured),
        # Words and speakers are the same whatever the model says of the turns.
        "words": {"cpwer": first["scores"]["collar0"]["cpwer"], **first["words"]},
        "units": [
            {
                "test_fold": o.unit.test_fold,
                "validation_fold": o.unit.validation_fold,
                "seed": o.unit.seed,
                "best_epoch": o.best_epoch,
                "training": o.training,
                "validation": o.validation,
                "history": o.history,
            }
            for o in outcomes
        ],
    }
    return SystemResult(
        system=system,
        counts=counts,
        errors=errors,
        right=tuple(m.right for m in measured),
        answered=tuple(_answered(recordings, turns[seed]) for seed in seeds),
        numbers=numbers,
        turns=turns[seeds[0]],
        outcomes=list(outcomes),
    )


def styles(counts: Counts, recordings: Sequence[Recording]) -> dict[str, Counts]:
    """Improvised and scripted recordings' counts apart, as far as the corpus tells them."""
    parts = {}
    for name, scripted in (("improvised", False), ("scripted", True)):
        matches = [recording.scripted is scripted for recording in recordings]
        if any(matches):
            parts[name] = counts.where(matches)
    return parts


def _errors(
    recordings: Sequence[Recording],
    turns: Sequence[Sequence[Turn]],
    convention: str,
    folds: Sequence[str],
) -> dict[str, Counts]:
    """Each recording's TEER, sTEER and DER: missed, false alarm, confusion, total seconds."""
    reference = [u.as_turn() for recording in recordings for u in recording.utterances]
    by_seed = [score_each(reference, own, convention) for own in turns]
    return {
        key: Counts.of(
            [
                [_seconds(getattr(scores[r.name], key) or TimeErrors.zero()) for r in recordings]
                for scores in by_seed
            ],
            folds,
        )
        for key in TIMED
    }


def _seconds(errors: TimeErrors) -> list[float]:
    return [errors.missed, errors.false_alarm, errors.confusion, errors.total]


def _mean_of(measured: Sequence[Measurement], key: str) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name in measured[0].metrics[key]:
        rates = [m.metrics[key][name]["rate"] for m in measured]
        known = [rate for rate in rates if rate is not None]
        means[name] = sum(known) / len(known) if known else None
    return means


def _answered(recordings: Sequence[Recording], turns: Sequence[Turn]) -> tuple[bool, ...]:
    utterances = [u for recording in recordings for u in recording.utterances]
    return tuple(
        answer.emotion is not None
        for utterance, answer in zip(
            utterances, utterance_predictions(utterances, turns), strict=True
        )
        if utterance.emotion in EMOTIONS
    )


def _compare(
    first: SystemResult, second: SystemResult, recordings: Sequence[Recording], seed: int
) -> dict[str, Any]:
    """Differences, first less second, with their intervals; styles apart."""
    second_styles = styles(second.counts, recordings)
    return {
        **compare_rates(first.counts, second.counts, seed),
        "styles": {
            style: compare_rates(part, second_styles[style], seed)
            for style, part in styles(first.counts, recordings).items()
        },
        "scores": {
            convention: {
                key: compare_errors(errors, second.errors[convention][key], seed)
                for key, errors in parts.items()
            }
            for convention, parts in first.errors.items()
        },
    }
