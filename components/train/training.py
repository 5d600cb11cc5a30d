"""Examples to a model version, from end to end."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from components.base import Cache, file_digest, tree_digest
from components.config import Settings, TrainStep, resolve_model
from components.conversation import Recording
from components.fusion import Clip, clip_windows, predict
from components.fusion.model import MoodlineModel
from components.fusion.tokens import pretrained_tokenizer
from components.train.batches import Item
from components.train.data import Sound, Split, count_emotions, read_rows, split_rows
from components.train.fitting import Fitted, fit
from components.train.history import History
from components.train.launch import launch
from components.train.processes import (
    from_first,
    own_device,
    precision,
    rank,
    share_of_batch,
    together,
    under_torchrun,
    wanted_processes,
    world_size,
)
from components.train.states import (
    answer_rows,
    encode_rows,
    encoder_digest,
    one_thread,
    standardize,
)
from components.train.tracking import Curves
from components.train.version import write_version

if TYPE_CHECKING:
    from tokenizers import Tokenizer


Answer = Callable[[], np.ndarray]
"""Gives the fitted model's answers on the training, then the validation examples: [n, 4 + d]."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A model version and how it came about.

    Attributes:
        model: its folder.
        digest: of the folder's files; the same for the same examples, profile and machine.
        history: one entry an epoch: training and validation loss, learning rate, scores.
        best_epoch: the one whose weights were kept, by macro F1 on the validation fold.
        validation: that epoch's scores on the validation fold.
        training_examples: how many of each emotion were fitted.
        validation_examples: how many of each emotion chose the epoch.
    """

    model: Path
    digest: str
    history: list[dict[str, float]]
    best_epoch: int
    validation: dict[str, float]
    training_examples: dict[str, int]
    validation_examples: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Run:
    """What both ways of fitting work with."""

    model: MoodlineModel
    tokenizer: "Tokenizer"
    split: Split
    sound: Sound
    profile: TrainStep
    cache: Cache
    work: Path
    checkpoint_seconds: float
    told: Callable[[int], None]
    curves: Curves

    @property
    def examples(self) -> int:
        return len(self.split.training) + len(self.split.validation)

    def fit(self, module: nn.Module, parts: list[list[Item]]) -> Fitted:
        training, validation = parts

        def told(history: History) -> None:
            self.curves.log(history)
            self.told(self.examples + len(history))

        return fit(
            module,
            training,
            validation,
            self.profile.train,
            self.profile.seed,
            self.work,
            told,
            self.checkpoint_seconds,
        )


def train(
    examples: Path,
    recordings: Sequence[Recording],
    out_dir: Path,
    profile: TrainStep,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
) -> TrainResult:
    """Train the fusion model and write it as a version.

    The protocol's test fold is never looked at; its validation fold chooses the epoch. With
    frozen encoders their states are computed once and kept in the cache; without, encoders and
    head are fitted together, each at its own learning rate. A killed run goes on where it stopped.

    Where the profile asks for several processes, or there are several GPUs, `torchrun` is started;
    under `torchrun` each of its processes calls this alike, and the first writes the version.

    Args:
        examples: the Parquet file of `components.label`.
        recordings: the corpus that the examples were cut from.
        out_dir: the version's folder, written whole or not at all.
        progress: called with the steps done (examples read, epochs) and their total.

    Raises:
        InputError: examples without a column, of a recording that is not in the corpus, with an
            empty fold or without one of the emotions, sound that is not numbers, an encoder that
            is not there, or settings that cannot be had on this machine.
    """
    examples, out_dir = Path(examples), Path(out_dir)
    profile = TrainStep.of(profile)
    split = split_rows(read_rows(examples), profile.protocol)
    total = len(split.training) + len(split.validation) + profile.train.epochs

    def told(done: int) -> None:
        if progress:
            progress(done, total)

    sound = Sound(recordings, [*split.training, *split.validation])
    processes = world_size() if under_torchrun() else wanted_processes(profile.train)
    share_of_batch(profile.train, processes)
    precision(profile.train)
    if processes > 1 and not under_torchrun():
        # With rows and settings that were found right: what is wrong is said here, and once.
        fields = launch(
            examples, recordings, out_dir, profile, settings, processes, lambda n, _: told(n)
        )
        return TrainResult(**{**fields, "model": out_dir})  # type: ignore[arg-type]

    with together():
        return _train_here(examples, split, sound, out_dir, profile, settings, told)


def _train_here(
    examples: Path,
    split: Split,
    sound: Sound,
    out_dir: Path,
    profile: TrainStep,
    settings: Settings,
    told: Callable[[int], None],
) -> TrainResult:
    """Train in this process, beside the others if there are any."""
    acoustic = resolve_model(profile.fusion.acoustic, settings)
    text = resolve_model(profile.fusion.text, settings)
    head = profile.fusion.model_dump(exclude={"acoustic", "text"})
    model = MoodlineModel.from_encoders(acoustic, text, seed=profile.seed, **head)
    nn.Module.to(model, own_device())
    cache = Cache(settings.cache)
    decides = profile.model_dump(mode="json", include={"seed", "fusion", "train", "protocol"})
    work = cache.path(
        "training", file_digest(examples), encoder_digest(model), decides, world_size()
    )
    run = _Run(
        model,
        pretrained_tokenizer(text),
        split,
        sound,
        profile,
        cache,
        work,
        settings.checkpoint_seconds,
        told,
        Curves(rank() == 0),
    )
    digest = ""
    if profile.train.freeze_encoders:
        fitted, answer = _fit_head(run)
    else:
        fitted, answer = _fit_all(run)
    if rank() == 0:
        write_version(out_dir, model, fitted, answer(), split, sound, profile, acoustic, text)
        digest = tree_digest(out_dir)
    result = TrainResult(
        out_dir,
        from_first(digest),
        fitted.history,
        fitted.best_epoch,
        fitted.validation,
        count_emotions(split.training),
        count_emotions(split.validation),
    )
    shutil.rmtree(work, ignore_errors=True)
    run.curves.finish(result)
    told(run.examples + profile.train.epochs)
    return result


def _fit_head(run: _Run) -> tuple[Fitted, Answer]:
    """Frozen encoders: their states once, then the head alone."""
    rows = [*run.split.training, *run.split.validation]
    encoded = encode_rows(run.model, run.tokenizer, rows, run.sound, run.cache, run.told)
    border = len(run.split.training)
    standardize(run.model, encoded[:border])
    items: list[list[Item]] = [[], []]
    for turn, (row, windows) in enumerate(zip(rows, encoded, strict=True)):
        items[turn >= border].extend(
            {
                "acoustic": window.acoustic,
                "text": window.text,
                "label": row.label,
                "turn": turn if turn < border else turn - border,
                "weight": window.weight,
            }
            for window in windows
        )
    with one_thread():
        fitted = run.fit(run.model.head, items)

    def answer() -> np.ndarray:
        with one_thread():
            return answer_rows(run.model.head, encoded)

    return fitted, answer


def _fit_all(run: _Run) -> tuple[Fitted, Answer]:
    """Encoders and head together, from sound and words."""
    config = run.model.config
    items: list[list[Item]] = []
    every: list[Clip] = []
    for rows in (run.split.training, run.split.validation):
        clips = [run.sound.clip(row) for row in rows]
        every += clips
        windows = clip_windows(clips, run.tokenizer, config.max_samples, config.max_tokens)
        items.append(
            [
                {
                    "acoustic": window.audio,
                    "text": np.array(window.input_ids),
                    "label": rows[window.clip].label,
                    "turn": window.clip,
                    "weight": window.weight,
                }
                # Neighbours of like length: little of a validation batch is padding.
                for window in sorted(windows, key=lambda window: len(window.audio))
            ]
        )
    # The head starts on the scale of the states that the encoders give before they are fitted.
    rows = run.split.training
    standardize(
        run.model, encode_rows(run.model, run.tokenizer, rows, run.sound, run.cache, run.told)
    )
    run.told(run.examples)
    fitted = run.fit(run.model, items)

    def answer() -> np.ndarray:
        # One at a time: what is kept must not depend on the batches.
        answers = predict(run.model, every, batch_size=1, tokenizer=run.tokenizer)
        return np.concatenate(answers, axis=1)

    return fitted, answer
