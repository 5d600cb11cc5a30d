"""Train on one corpus, test on the others: what of a model holds for voices of another kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from components.base import InputError
from components.config import Profile, Settings
from components.conversation import FEEDBACK, Recording, Turn
from components.corpus import corpus_digest
from components.scoring import classification, utterance_predictions
from pipelines.experiments.protocol import MIN_FOLDS, Unit, folds_of, plan
from pipelines.experiments.run import UNITS
from pipelines.experiments.statistics import Counts, summarise_rates
from pipelines.experiments.systems import Strategy, System, TurnMethod
from pipelines.experiments.turns import CorpusTurns, StageProgress, make_turns
from pipelines.experiments.work import UnitRunner


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus under the name that stands in the matrix.

    Attributes:
        synthetic: its voices are synthetic.
    """

    name: str
    recordings: Sequence[Recording] = field(repr=False)
    synthetic: bool = False

    @property
    def tested(self) -> list[Recording]:
        """All but what came back from traffic."""
        return [recording for recording in self.recordings if recording.fold != FEEDBACK]

    def labels(self, known: Sequence[str]) -> tuple[str, ...]:
        """Those of the known labels that it has."""
        there = {u.emotion for recording in self.tested for u in recording.utterances}
        return tuple(label for label in known if label in there)

    def trains(self, known: Sequence[str]) -> bool:
        """Whether it can be trained on: it has all labels, and folds enough."""
        return len(folds_of(self.recordings)) >= MIN_FOLDS and len(self.labels(known)) == len(known)


@dataclass(frozen=True, slots=True)
class Cell:
    """A model of one corpus on another, or on its own folds that were left out.

    Attributes:
        labels: those that both corpora have; only their utterances are scored.
        numbers: rates with their intervals (see `summarise_rates`).
        own: the corpus' own folds.
    """

    labels: tuple[str, ...]
    numbers: Mapping[str, Any] = field(repr=False)
    own: bool

    @property
    def chance(self) -> float:
        """The accuracy of guessing among the shared labels."""
        return 1 / len(self.labels)

    def to_json(self) -> dict[str, Any]:
        """All numbers of the cell."""
        return {"labels": list(self.labels), "chance": self.chance, "own": self.own, **self.numbers}


@dataclass(frozen=True, slots=True)
class Transfer:
    """The matrix.

    Attributes:
        corpora: those that are tested on, the columns.
        cells: by the name of the corpus that is trained on and of the one tested on.
        about: what was run.
    """

    corpora: Sequence[Corpus]
    cells: Mapping[tuple[str, str], Cell]
    about: Mapping[str, Any]

    @property
    def trained(self) -> list[str]:
        """The corpora that models were trained on, the rows."""
        return list(dict.fromkeys(first for first, _ in self.cells))

    def to_json(self) -> dict[str, Any]:
        """All numbers."""
        cells = [
            {"trained_on": first, "tested_on": second, **cell.to_json()}
            for (first, second), cell in self.cells.items()
        ]
        return {**self.about, "cells": cells}


def run_transfer(
    corpora: Sequence[Corpus],
    profile: Profile,
    settings: Settings,
    work: Path,
    progress: StageProgress,
) -> Transfer:
    """Train on each corpus, with frozen encoders, and test on each.

    A corpus' own cell is of all its folds, each answered by models that have not seen it. The other
    cells of its row are of the models that left out the last fold, as they are shipped: nothing is
    fitted to, or chosen on, the corpus that they are tested on. What is done is kept.

    Args:
        corpora: two or more. One with fewer than three folds, or without one of the profile's
            labels, is only tested on.
        profile: where `segmentation` is "reference", turns are made with true boundaries; else from
            sound alone.
        work: a folder for transcripts and turns.

    Raises:
        InputError: corpora that share fewer than two labels, a corpus named twice, none that can be
            trained on, or what `run_experiment` raises.
    """
    known = profile.labels
    pairs = _shared_labels(corpora, known)
    method = TurnMethod.ORACLE if profile.segmentation == "reference" else TurnMethod.ALIGNED
    system = System(method, Strategy.FROZEN)
    turns = {
        corpus.name: make_turns(
            method, corpus.recordings, profile, settings, work / str(number),
            partial(_named, progress, corpus.name),
        )
        for number, corpus in enumerate(corpora)
    }  # fmt: skip
    rows = [corpus for corpus in corpora if corpus.trains(known)]
    units = {row.name: plan([system], row.recordings, profile) for row in rows}
    total, done = sum(map(len, units.values())), 0
    cells: dict[tuple[str, str], Cell] = {}
    for row in rows:
        runner = UnitRunner(row.recordings, corpus_digest(list(row.recordings)), profile, settings)
        answered: dict[int, list[Turn]] = {}
        elsewhere: dict[str, list[list[Turn]]] = {}
        shipped = folds_of(row.recordings)[-1]
        others = {c.name: (c.tested, turns[c.name]) for c in corpora if c is not row}
        for unit in units[row.name]:
            progress(UNITS, done, total)
            what = partial(progress, _what(row, unit))
            outcome = runner.outcome(unit, turns[row.name], what)
            answered.setdefault(unit.seed, []).extend(outcome.turns)
            if unit.test_fold == shipped:
                for name, own in runner.elsewhere(unit, turns[row.name], others, what).items():
                    elsewhere.setdefault(name, []).append(own)
            done += 1
        for column in corpora:
            by_seed = elsewhere.get(column.name, list(answered.values()))
            labels = pairs[row.name, column.name]
            numbers = _count(column.tested, by_seed, labels, profile.seed)
            cells[row.name, column.name] = Cell(labels, numbers, own=column is row)
    progress(UNITS, total, total)
    return Transfer(corpora, cells, _about(corpora, profile, method, known, turns))


def _shared_labels(
    corpora: Sequence[Corpus], known: Sequence[str]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """The labels that each two corpora share.

    Raises:
        InputError: see `run_transfer`.
    """
    names = [corpus.name for corpus in corpora]
    if len(set(names)) < len(names) or len(names) < 2:
        raise InputError(
            f"name two corpora or more, each once; given: {', '.join(names) or 'none'}"
        )
    if not any(corpus.trains(known) for corpus in corpora):
        raise InputError(
            f"none of {', '.join(names)} can be trained on: that takes {MIN_FOLDS} folds and all of"
            f" {', '.join(known)}"
        )
    pairs = {}
    for row in corpora:
        for column in corpora:
            own, others = row.labels(known), column.labels(known)
            shared = tuple(label for label in own if label in others)
            if len(shared) < 2:
                raise InputError(
                    f"{row.name} and {column.name} share"
                    f" {'only ' + shared[0] if shared else 'no label'} (there:"
                    f" {', '.join(own) or 'none'}; {', '.join(others) or 'none'});"
                    " map their names in the profile's label_map"
                )
            pairs[row.name, column.name] = shared
    return pairs


def _count(
    recordings: Sequence[Recording],
    by_seed: Sequence[Sequence[Turn]],
    labels: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """The rates on the utterances that have one of the labels, of all seeds."""
    kept = [
        replace(r, utterances=tuple(u for u in r.utterances if u.emotion in labels))
        for r in recordings
    ]
    kept = [recording for recording in kept if recording.utterances]
    # All utterances count where speakers are mapped.
    utterances = [u for recording in recordings for u in recording.utterances]
    confusions = []
    for turns in by_seed:
        predictions = utterance_predictions(utterances, turns, labels)
        answers = {u.id: p.emotion for u, p in zip(utterances, predictions, strict=True)}
        each = [
            classification([u.emotion for u in own], [answers[u.id] for u in own], labels).counts
            for own in (recording.utterances for recording in kept)
        ]
        confusions.append(np.array(each))
    counts = Counts.of(confusions, [recording.fold for recording in kept])
    return summarise_rates(counts, seed, labels)


def _named(progress: StageProgress, name: str, what: str, done: int, total: int) -> None:
    progress(f"{name}: {what}", done, total)


def _what(corpus: Corpus, unit: Unit) -> str:
    return f"{corpus.name} · without {unit.test_fold} · seed {unit.seed}"


def _about(
    corpora: Sequence[Corpus],
    profile: Profile,
    method: TurnMethod,
    known: Sequence[str],
    turns: Mapping[str, CorpusTurns],
) -> dict[str, Any]:
    return {
        "profile": profile.name,
        "turns": method.label,
        "synthetic": all(corpus.synthetic for corpus in corpora),
        "seeds": profile.experiment.seeds,
        "corpora": {
            corpus.name: {
                "recordings": len(corpus.tested),
                "utterances": sum(len(r.utterances) for r in corpus.tested),
                "labels": list(corpus.labels(known)),
                "folds": folds_of(corpus.recordings),
                "synthetic": corpus.synthetic,
                "trained_on": corpus.trains(known),
                "examples": turns[corpus.name].labelled,
            }
            for corpus in corpora
        },
    }
