"""Leave one fold out: which folds train, choose and test, for every system and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.base import InputError
from components.config import Profile, ProtocolSettings
from components.conversation import FEEDBACK, Recording
from pipelines.experiments.systems import System

MIN_FOLDS = 3
"""Folds: one to test on, one to choose the epoch on, one to train on."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work: train a system without a fold, choose the epoch on another, test on it."""

    system: System
    test_fold: str
    validation_fold: str
    seed: int

    def profile(self, profile: Profile) -> Profile:
        """The profile under which it is trained."""
        protocol = ProtocolSettings(test_fold=self.test_fold, validation_fold=self.validation_fold)
        changes = {"protocol": protocol, "seed": self.seed}
        return self.system.profile(profile).model_copy(update=changes)


def plan(
    systems: Sequence[System], recordings: Sequence[Recording], profile: Profile
) -> list[Unit]:
    """Every system on every fold from every seed.

    The validation fold is the one before the test fold, the last one before the first::

        fold    1      2      3      4      5
                test                        validation
                valid. test
                       valid. test                       …

    Raises:
        InputError: fewer than three folds, or one that lacks an emotion.
    """
    folds = check_folds(recordings, profile.labels)
    return [
        Unit(system, test, folds[index - 1], profile.seed + number)
        for system in systems
        for number in range(profile.experiment.seeds)
        for index, test in enumerate(folds)
    ]


def folds_of(recordings: Sequence[Recording]) -> list[str]:
    """The corpus' folds in order, but for what came back from traffic."""
    return sorted({recording.fold for recording in recordings} - {FEEDBACK})


def check_folds(recordings: Sequence[Recording], labels: Sequence[str]) -> list[str]:
    """The corpus' folds in order; what came back from traffic is trained on in all of them.

    Raises:
        InputError: as `plan`.
    """
    folds = folds_of(recordings)
    if len(folds) < MIN_FOLDS:
        raise InputError(
            f"the corpus has {len(folds)} fold{'s' if len(folds) > 1 else ''}"
            f" ({', '.join(folds)}); an experiment needs at least {MIN_FOLDS}: one to test on, one"
            " to choose the epoch on, and the rest to train on"
        )
    for fold in folds:
        there = {u.emotion for r in recordings if r.fold == fold for u in r.utterances}
        missing = [emotion for emotion in labels if emotion not in there]
        if missing:
            raise InputError(
                f"fold {fold} has no utterance that is {' or '.join(missing)}; recalls and F1 need"
                " every emotion in every fold: put its recordings into other folds"
            )
    return folds
