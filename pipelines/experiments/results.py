"""All answers of an experiment, counted on the same reference utterances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.config import Profile
from components.conversation import Recording, Turn
from components.evaluate import Measurement, measure
from components.scoring import (
    CONVENTIONS,
    Faults,
    TimeErrors,
    UtteranceFaults,
    find_faults,
    score,
    score_each,
)
from pipelines.experiments.statistics import (
    Counts,
    compare_errors,
    compare_rates,
    summarise_errors,
    summarise_rates,
)
from pipelines.experiments.systems import DIFFERENCES, System, TurnMethod
from pipelines.experiments.turns import CorpusTurns
from pipelines.experiments.work import Outcome

TIMED = ("teer", "steer", "der")


@dataclass(frozen=True)
class SystemResult:
    """The result of a system.

    Attributes:
        counts: the confusions of each recording, seed by seed.
        errors: by convention, TEER's, sTEER's and DER's seconds of each recording, seed by seed.
        right: for each seed, whether each scored utterance's answer is right.
        numbers: everything that is reported; ready for JSON.
        turns: of the first seed, with emotions.
        outcomes: the units'.
        probe: the confusions of the linear probe, as `counts`.
    """

    counts: Counts
    errors: dict[str, dict[str, Counts]]
    right: tuple[tuple[bool, ...], ...]
    numbers: dict[str, Any]
    turns: list[Turn] = field(repr=False)
    outcomes: list[Outcome] = field(repr=False)
    probe: Counts = field(repr=False)


@dataclass(frozen=True)
class Results:
    """An experiment's results.

    Attributes:
        name: of the table that was run, or "all".
        recordings: the corpus. Scored are its utterances of the profile's labels, for every
            system.
        faults: how the turns of each method differ from the reference, for all utterances.
        systems: by system.
        comparisons: (first, second) and their differences.
        about: what was run, for the heading.
        labels: the profile's.
    """

    name: str
    recordings: Sequence[Recording] = field(repr=False)
    faults: dict[TurnMethod, Faults] = field(repr=False)
    systems: dict[System, SystemResult]
    comparisons: dict[tuple[System, System], dict[str, Any]]
    about: dict[str, Any]
    labels: tuple[str, ...]

    def faults_of(self, system: System) -> list[UtteranceFaults]:
        """The faults of each scored utterance in a system's turns."""
        utterances = [u for recording in self.recordings for u in recording.utterances]
        faults = self.faults[system.method].utterances
        return [f for u, f in zip(utterances, faults, strict=True) if u.emotion in self.labels]


def summarise(
    name: str,
    outcomes: Sequence[Outcome],
    turns_by_method: Mapping[TurnMethod, CorpusTurns],
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
    scored = sum(u.emotion in profile.labels for u in utterances)
    by_system: dict[System, list[Outcome]] = {}
    for outcome in outcomes:
        by_system.setdefault(outcome.unit.system, []).append(outcome)
    systems = {
        system: _system(system, own, recordings, profile) for system, own in by_system.items()
    }
    reference = [utterance.as_turn() for utterance in utterances]
    spoken = next(iter(turns_by_method.values())).spoken
    return Results(
        name=name,
        recordings=recordings,
        faults={
            method: find_faults(
                utterances, [t for r in recordings for t in own.turns[r.name]], profile.labels
            )
            for method, own in turns_by_method.items()
        },
        systems=systems,
        comparisons={
            (first, second): _compare(systems[first], systems[second], recordings, profile)
            for first, second in DIFFERENCES
            if first in systems and second in systems
        },
        about={
            "experiment": name,
            "profile": profile.name,
            "published": profile.experiment.published,
            "corpus": corpus,
            "synthetic": synthetic,
            "recordings": len(recordings),
            "folds": sorted({recording.fold for recording in recordings}),
            "seeds": sorted({outcome.unit.seed for outcome in outcomes}),
            "utterances": scored,
            "unscored_utterances": len(utterances) - scored,
            "models": {
                "transcribe": profile.transcribe.model,
                "diarize": profile.diarize.pipeline,
                "acoustic": profile.fusion.acoustic,
                "text": profile.fusion.text,
            },
            "num_speakers": profile.diarize.num_speakers,
            "examples": {str(method): own.labelled for method, own in turns_by_method.items()},
            # The turns' own DER is of one speaker at a time.
            "diarization": {
                convention: score(reference, spoken, convention).der.to_json()
                for convention in CONVENTIONS
            },
        },
        labels=profile.labels,
    )


def _system(
    system: System, outcomes: Sequence[Outcome], recordings: Sequence[Recording], profile: Profile
) -> SystemResult:
    turns: dict[int, list[Turn]] = {}
    probed: dict[int, list[Turn]] = {}
    for outcome in outcomes:
        turns.setdefault(outcome.unit.seed, []).extend(outcome.turns)
        probed.setdefault(outcome.unit.seed, []).extend(outcome.probe)
    labels = profile.labels
    measured = [measure(recordings, own, profile.seed, labels=labels) for own in turns.values()]
    folds = [recording.fold for recording in recordings]
    counts = Counts.of([m.confusions for m in measured], folds)
    probe = Counts.of(
        [
            measure(recordings, own, profile.seed, labels=labels).confusions
            for own in probed.values()
        ],
        folds,
    )
    errors = {
        convention: _errors(recordings, list(turns.values()), convention, folds, labels)
        for convention in CONVENTIONS
    }
    first = measured[0].metrics
    numbers: dict[str, Any] = {
        "system": system.name,
        "title": system.title,
        **summarise_rates(counts, profile.seed, labels),
        "styles": {
            style: summarise_rates(part, profile.seed, labels)
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
        "agreed": _mean_agreed(measured),
        "probe": {
            **summarise_rates(probe, profile.seed, labels),
            "difference": compare_rates(counts, probe, profile.seed, labels)["accuracy"],
        },
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
    right = tuple(m.right for m in measured)
    first_turns = next(iter(turns.values()))
    return SystemResult(counts, errors, right, numbers, first_turns, list(outcomes), probe)


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
    labels: Sequence[str],
) -> dict[str, Counts]:
    """Each recording's TEER, sTEER and DER: missed, false alarm, confusion, total seconds."""
    reference = [u.as_turn() for recording in recordings for u in recording.utterances]
    by_seed = [score_each(reference, own, convention, labels=labels) for own in turns]

    def seconds(errors: TimeErrors | None) -> list[float]:
        errors = errors or TimeErrors.zero()
        return [errors.missed, errors.false_alarm, errors.confusion, errors.total]

    return {
        key: Counts.of(
            [[seconds(getattr(own[r.name], key)) for r in recordings] for own in by_seed], folds
        )
        for key in TIMED
    }


def _mean_agreed(measured: Sequence[Measurement]) -> dict[str, float | None]:
    """The means over seeds of the errors on speech that reference and hypothesis agree on."""
    means: dict[str, float | None] = {}
    for name in measured[0].metrics["agreed"]:
        rates = [m.metrics["agreed"][name]["rate"] for m in measured]
        known = [rate for rate in rates if rate is not None]
        means[name] = sum(known) / len(known) if known else None
    return means


def _compare(
    first: SystemResult, second: SystemResult, recordings: Sequence[Recording], profile: Profile
) -> dict[str, Any]:
    """Differences, first less second, with their intervals; styles apart."""
    seed, labels = profile.seed, profile.labels
    second_styles = styles(second.counts, recordings)
    return {
        **compare_rates(first.counts, second.counts, seed, labels),
        "styles": {
            style: compare_rates(part, second_styles[style], seed, labels)
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
