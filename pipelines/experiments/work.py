"""One unit of work: train, predict the test fold's turns, keep both; once done, found again."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base import Cache, atomic_path
from components.config import Profile, Settings, model_digest
from components.conversation import Recording, Turn, read_turns, write_turns
from pipelines.experiments.protocol import Unit
from pipelines.experiments.turns import MadeTurns

VERSION = 1
"""Of what training and prediction make of the same input. Raise it when they change: what was
kept of an older version is then done again. How answers are counted is no part of it: scores are
always counted anew."""


@dataclass(frozen=True)
class Outcome:
    """What a unit left.

    Attributes:
        unit: the work.
        turns: the test fold's, with the model's emotions.
        best_epoch: the one whose weights were kept, by macro F1 on the validation fold.
        history: one entry an epoch: losses, learning rate, the validation fold's scores.
        training: how many examples of each emotion were fitted.
        validation: how many chose the epoch.
    """

    unit: Unit
    turns: list[Turn]
    best_epoch: int
    history: list[dict[str, float]]
    training: dict[str, int]
    validation: dict[str, int]


class Bench:
    """Where units are worked on: knows what is done, and does what is not.

    Args:
        recordings: the corpus.
        corpus: its digest.
        profile: the experiment's.
        settings: where models and caches lie.
    """

    def __init__(
        self, recordings: Sequence[Recording], corpus: str, profile: Profile, settings: Settings
    ) -> None:
        self._recordings, self._corpus = recordings, corpus
        self._profile, self._settings = profile, settings
        self._encoders = [
            model_digest(name, settings) for name in (profile.fusion.acoustic, profile.fusion.text)
        ]

    def folder(self, unit: Unit, made: MadeTurns) -> Path:
        """Where what the unit leaves is kept: named by all that decides it, and nothing else."""
        decides = unit.profile(self._profile).model_dump(
            mode="json", include={"seed", "fusion", "train", "protocol"}
        )
        key = (VERSION, self._corpus, made.digest, self._encoders, decides)
        return Cache(self._settings.cache).path("experiments", *key)

    def is_done(self, unit: Unit, made: MadeTurns) -> bool:
        """Whether nothing is left to do."""
        return self.folder(unit, made).is_dir()

    def outcome(self, unit: Unit, made: MadeTurns, progress: Callable[[int, int], None]) -> Outcome:
        """What the unit leaves, worked out or found.

        A killed run goes on: within training at its last epoch, after training with prediction.

        Args:
            unit: the work.
            made: the turns of its system's way.
            progress: told of the training's steps.

        Raises:
            InputError: as `components.train.train`.
        """
        folder = self.folder(unit, made)
        if not folder.is_dir():
            self._work(unit, made, folder, progress)
        left = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        return Outcome(unit=unit, turns=read_turns(folder / "predictions.json"), **left)

    def _work(
        self, unit: Unit, made: MadeTurns, folder: Path, progress: Callable[[int, int], None]
    ) -> None:
        from components.evaluate import predict_turns
        from components.train import train

        profile = unit.profile(self._profile)
        model, training = folder.with_suffix(".model"), folder.with_suffix(".json")
        if not (model.is_dir() and training.is_file()):
            result = train(
                made.examples, self._recordings, model, profile, self._settings, progress
            )
            left: dict[str, Any] = {
                "best_epoch": result.best_epoch,
                "history": result.history,
                "training": result.training_examples,
                "validation": result.validation_examples,
            }
            with atomic_path(training) as temporary:
                temporary.write_text(json.dumps(left, indent=1), encoding="utf-8")
        tested = [r for r in self._recordings if r.fold == unit.test_fold]
        turns = predict_turns(model, tested, made.turns)
        with atomic_path(folder) as temporary:
            write_turns(temporary / "predictions.json", turns)
            shutil.copyfile(training, temporary / "training.json")
        # A hundred models of a gigabyte would be kept for nothing: their answers are.
        shutil.rmtree(model)
        training.unlink()
