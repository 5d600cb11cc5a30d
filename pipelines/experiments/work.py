"""One unit of work: train, and predict the test fold's turns. Finished work is reused."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from components.base import Cache, atomic_path
from components.config import Profile, Settings, model_digest
from components.conversation import Progress, Recording, Turn, read_turns, write_turns
from components.corpus import corpus_digest
from pipelines.experiments.answers import answer_turns
from pipelines.experiments.protocol import Unit
from pipelines.experiments.turns import CorpusTurns

VERSION = 3
"""The version of training and prediction. Raise it when they change: results of an older version
are then made again. Scores are always counted anew, so counting is not part of it."""


@dataclass(frozen=True)
class Outcome:
    """A unit's result.

    Attributes:
        unit: the work.
        turns: the test fold's, with the model's emotions.
        best_epoch: the one whose weights were kept, by macro F1 on the validation fold.
        history: one entry an epoch: losses, learning rate, the validation fold's scores.
        training: how many examples of each emotion were fitted.
        validation: how many chose the epoch.
        probe: the test fold's turns, with the linear probe's emotions.
    """

    unit: Unit
    turns: list[Turn]
    best_epoch: int
    history: list[dict[str, float]]
    training: dict[str, int]
    validation: dict[str, int]
    probe: list[Turn]


@dataclass(frozen=True)
class UnitRunner:
    """Runs units of work, and keeps their results so that none is run twice.

    Attributes:
        corpus: the recordings' digest.
    """

    recordings: Sequence[Recording]
    corpus: str
    profile: Profile
    settings: Settings

    @cached_property
    def _encoders(self) -> list[str]:
        names = (self.profile.fusion.acoustic, self.profile.fusion.text)
        return [model_digest(name, self.settings) for name in names]

    def outcome(self, unit: Unit, corpus_turns: CorpusTurns, progress: Progress) -> Outcome:
        """The unit's result, from the cache or worked out; `corpus_turns` are its system's.

        A killed run goes on: within training at its last epoch, after training with prediction.

        Raises:
            InputError: as `components.train.train`.
        """
        folder = self._folder("experiments", unit, corpus_turns)
        if not folder.is_dir():
            model, training = self._trained(unit, corpus_turns, folder, progress)
            tested = [r for r in self.recordings if r.fold == unit.test_fold]
            turns, probed = answer_turns(model, tested, corpus_turns.turns, self.settings)
            with atomic_path(folder) as temporary:
                write_turns(temporary / "predictions.json", turns)
                write_turns(temporary / "probe.json", probed)
                shutil.copyfile(training, temporary / "training.json")
            # The answers are kept; a hundred models of a gigabyte are not.
            shutil.rmtree(model)
            training.unlink()
        trained = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        turns, probed = (read_turns(folder / f"{who}.json") for who in ("predictions", "probe"))
        return Outcome(unit=unit, turns=turns, probe=probed, **trained)

    def elsewhere(
        self,
        unit: Unit,
        corpus_turns: CorpusTurns,
        others: Mapping[str, tuple[Sequence[Recording], CorpusTurns]],
        progress: Progress,
    ) -> dict[str, list[Turn]]:
        """The answers of the unit's model on other corpora, from the cache or worked out.

        Args:
            others: by name, their recordings and turns.

        Raises:
            InputError: as `components.train.train`.
        """
        paths = {}
        for name, (recordings, turns) in others.items():
            tested = corpus_digest(list(recordings)), turns.digest
            folder = self._folder("transfers", unit, corpus_turns, *tested)
            paths[name] = folder.with_suffix(".predictions.json")
        missing = {name: path for name, path in paths.items() if not path.is_file()}
        if missing:
            folder = self._folder("transfers", unit, corpus_turns)
            model, training = self._trained(unit, corpus_turns, folder, progress)
            for name, path in missing.items():
                recordings, turns = others[name]
                answered, _ = answer_turns(model, recordings, turns.turns, self.settings)
                with atomic_path(path) as temporary:
                    write_turns(temporary, answered)
            shutil.rmtree(model)
            training.unlink()
        return {name: read_turns(path) for name, path in paths.items()}

    def _folder(self, kind: str, unit: Unit, corpus_turns: CorpusTurns, *more: str) -> Path:
        """Where the unit's result lies, by all that decides it."""
        profile = unit.profile(self.profile)
        parts = {"seed", "labels", "fusion", "train", "protocol"}
        decides = profile.model_dump(mode="json", include=parts)
        key = (VERSION, self.corpus, corpus_turns.digest, self._encoders, decides, *more)
        return Cache(self.settings.cache).path(kind, *key)

    def _trained(
        self, unit: Unit, corpus_turns: CorpusTurns, folder: Path, progress: Progress
    ) -> tuple[Path, Path]:
        """The unit's model, and what came of its training, beside `folder`."""
        from components.train import train

        model, training = folder.with_suffix(".model"), folder.with_suffix(".json")
        if not (model.is_dir() and training.is_file()):
            profile = unit.profile(self.profile)
            result = train(
                corpus_turns.examples, self.recordings, model, profile, self.settings, progress
            )
            trained = {
                "best_epoch": result.best_epoch,
                "history": result.history,
                "training": result.training_examples,
                "validation": result.validation_examples,
            }
            with atomic_path(training) as temporary:
                temporary.write_text(json.dumps(trained, indent=1), encoding="utf-8")
        return model, training
